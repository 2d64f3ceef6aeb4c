import { stringifyJson } from '../../../../base/index.ts'
import { evaluateJsonPath, parseJsonPath } from '../json-path.ts'
import { isObject, type JsonObject, listAt, ownValue } from '../record.ts'
import { refuse } from './refuse.ts'

/** One column of the Table that `kubectl get` shows. */
export interface PrinterColumn {
  readonly name: string
  readonly type: string
  readonly format: string
  readonly description: string
  readonly priority: number
  /** The cell of one object; null when there is nothing to show. Dates stay RFC 3339 text. */
  cell(object: JsonObject): unknown
}

const types = ['integer', 'number', 'string', 'boolean', 'date']

/** Parses `additionalPrinterColumns`; without any, kubectl shows name and age. */
export function parseColumns(version: JsonObject, path: string): readonly PrinterColumn[] {
  const list = ownValue(version, 'additionalPrinterColumns')
  const field = `${path}.additionalPrinterColumns`
  if (list === undefined || list === null) return [ageColumn]
  if (!Array.isArray(list)) refuse(field, list, 'is not a list', 'write a list of columns')
  const columns = listAt(version, 'additionalPrinterColumns').map((item, i) =>
    parseColumn(item, `${field}[${i}]`),
  )
  return columns.length === 0 ? [ageColumn] : columns
}

function parseColumn(raw: unknown, path: string): PrinterColumn {
  if (!isObject(raw)) return refuse(path, raw, 'is not an object', 'write name, type and jsonPath')
  const text = (key: string): string => {
    const value = ownValue(raw, key) ?? ''
    return typeof value === 'string'
      ? value
      : refuse(`${path}.${key}`, value, 'is not a string', 'write a string')
  }
  const type = text('type')
  if (text('name') === '') refuse(`${path}.name`, null, 'is required', 'name the column')
  if (!types.includes(type))
    refuse(`${path}.type`, type, 'is not supported', `write one of ${types.join(', ')}`)
  if (text('jsonPath') === '')
    refuse(`${path}.jsonPath`, null, 'is required', 'write a path such as .spec.subnet')
  const priority = ownValue(raw, 'priority') ?? 0
  if (typeof priority !== 'number')
    refuse(`${path}.priority`, priority, 'is not an integer', 'write an integer')
  return column(
    { name: text('name'), type, format: text('format'), description: text('description'), priority },
    text('jsonPath'),
    path,
  )
}

function column(shape: Omit<PrinterColumn, 'cell'>, jsonPath: string, path: string): PrinterColumn {
  const parsed = parseJsonPath(jsonPath, `${path}.jsonPath`)
  return { ...shape, cell: (object) => toCell(evaluateJsonPath(parsed, object)[0], shape.type) }
}

function toCell(value: unknown, type: string): unknown {
  if (value === undefined || value === null) return null
  switch (type) {
    case 'integer':
      return typeof value === 'number' || typeof value === 'bigint' ? value : null
    case 'number':
      return typeof value === 'number' || typeof value === 'bigint' ? value : null
    case 'boolean':
      return typeof value === 'boolean' ? value : null
    case 'string':
      return typeof value === 'object' ? stringifyJson(value) : String(value)
    default:
      return typeof value === 'string' ? value : null
  }
}

const ageColumn: PrinterColumn = column(
  { name: 'Age', type: 'date', format: '', description: 'time since the object was created', priority: 0 },
  '.metadata.creationTimestamp',
  'Age',
)
