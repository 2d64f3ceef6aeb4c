import type { Format } from '../http/accept.ts'
import type { Kind } from '../kinds/kind.ts'
import { resourceKey } from '../kinds/kind.ts'
import type { ApiObject } from '../object.ts'
import type { PrinterColumn } from '../schema/crd/columns.ts'
import type { JsonObject } from '../schema/record.ts'
import { age, ageColumn, type Column, nameColumn } from './column.ts'
import { objectColumns } from './objects.ts'
import { podColumns } from './pods.ts'
import { workloadColumns } from './workloads.ts'

export interface TableOptions {
  /** Object, Metadata (also for ''), None: what each row carries beside its cells. */
  readonly includeObject: string
  readonly clockMs: number
}

interface TableView {
  readonly kind: Kind
  readonly version: string
  readonly format: Format
  readonly table: TableOptions
}

const builtin: Readonly<Record<string, readonly Column[]>> = {
  '/pods': podColumns,
  ...workloadColumns,
  ...objectColumns,
}

/** The Table that kubectl prints. `isFirst` is false for later events of a watch, which carry no column definitions. */
export function makeTable(
  objects: readonly ApiObject[],
  view: TableView,
  metadata: JsonObject,
  isFirst: boolean,
): JsonObject {
  const columns = columnsOf(view.kind, view.version)
  const apiVersion = view.format.kind === 'object' ? 'meta.k8s.io/v1' : view.format.apiVersion
  return {
    kind: 'Table',
    apiVersion,
    metadata,
    columnDefinitions: isFirst ? columns.map(definition) : [],
    rows: objects.map((object) => ({
      cells: columns.map((column) => column.cell(object, view.table.clockMs) ?? null),
      ...rowObject(object, view.table.includeObject, apiVersion),
    })),
  }
}

function rowObject(object: ApiObject, include: string, apiVersion: string): JsonObject {
  if (include === 'None') return {}
  if (include === 'Object') return { object }
  return { object: { kind: 'PartialObjectMetadata', apiVersion, metadata: object.metadata } }
}

function definition(column: Column): JsonObject {
  const { name, type, format = '', description = '', priority = 0 } = column
  return { name, type, format, description, priority }
}

function columnsOf(kind: Kind, version: string): readonly Column[] {
  const custom = kind.custom(version)
  if (custom !== undefined) return [nameColumn, ...custom.columns.map(customColumn)]
  return builtin[resourceKey(kind)] ?? [nameColumn, ageColumn]
}

function customColumn(column: PrinterColumn): Column {
  const { name, format, description, priority } = column
  const type = columnTypes.find((known) => known === column.type) ?? 'string'
  const cell = (object: ApiObject, nowMs: number): unknown => {
    const value = column.cell(object)
    return type === 'date' && value !== null ? age(value, nowMs) : value
  }
  return { name, type, format, description, priority, cell }
}

const columnTypes = ['string', 'integer', 'number', 'boolean', 'date'] as const
