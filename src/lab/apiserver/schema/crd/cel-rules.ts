import { toError } from '../../../../base/index.ts'
import { type CelRule, compileRule } from '../cel/rule.ts'
import { childPath, type FieldFailure, renderValue } from '../failure.ts'
import { isObject, type JsonObject, listAt, ownValue } from '../record.ts'
import { celTypeOf, toCelValue } from './cel-value.ts'
import { refuse } from './refuse.ts'
import type { Schema } from './schema.ts'
import { canonical, mapKeyOf } from './validate-value.ts'

interface Node {
  readonly path: string
  readonly isResource: boolean
  /** Below a list that is no map nothing can be matched with its old value. */
  readonly isCorrelatable: boolean
}

/**
 * Compiles every `x-kubernetes-validations` of a schema.
 * @throws {InvalidInputError} for an expression that cannot be compiled, or uses oldSelf where no old value can be found
 */
export function withRules(schema: Schema, raw: unknown, path: string): Schema {
  return compileNode(schema, raw, { path, isResource: true, isCorrelatable: true })
}

function compileNode(schema: Schema, raw: unknown, node: Node): Schema {
  const { path } = node
  const rawProperties = isObject(raw) ? ownValue(raw, 'properties') : undefined
  const properties = [...schema.properties].map(([name, child]) => {
    const inner = { ...node, path: `${path}.properties[${name}]`, isResource: child.embedded }
    return [
      name,
      compileNode(child, isObject(rawProperties) ? ownValue(rawProperties, name) : undefined, inner),
    ] as const
  })
  const { additionalProperties: values, items } = schema
  const rawChild = (key: string): unknown => (isObject(raw) ? ownValue(raw, key) : undefined)
  const isCorrelatable = node.isCorrelatable && schema.listType === 'map'
  return {
    ...schema,
    properties: new Map(properties),
    additionalProperties:
      values === undefined || values === true
        ? values
        : compileNode(values, rawChild('additionalProperties'), {
            ...node,
            path: `${path}.additionalProperties`,
            isResource: values.embedded,
          }),
    items:
      items === undefined
        ? undefined
        : compileNode(items, rawChild('items'), {
            path: `${path}.items`,
            isResource: items.embedded,
            isCorrelatable,
          }),
    rules: compileRules(schema, raw, node),
  }
}

function compileRules(schema: Schema, raw: unknown, node: Node): readonly CelRule[] {
  const list = isObject(raw) ? ownValue(raw, 'x-kubernetes-validations') : undefined
  if (list === undefined) return []
  const field = `${node.path}.x-kubernetes-validations`
  if (!Array.isArray(list)) refuse(field, list, 'is not a list', 'write a list of rules')
  const type = celTypeOf(schema, node.isResource)
  return listAt(raw, 'x-kubernetes-validations').map((item, index) => {
    const rule = compileRule(item, type)
    const place = `${field}[${index}]`
    if ('problem' in rule) return refuse(`${place}.${rule.key}`, rule.value, rule.problem, rule.hint)
    if (rule.isTransition && !node.isCorrelatable) {
      const problem = 'uses oldSelf below a list whose items have no keys'
      refuse(
        `${place}.rule`,
        rule.source,
        problem,
        'use x-kubernetes-list-type: map, or move the rule up to the list',
      )
    }
    return rule
  })
}

/** Runs the rules of all nodes. `old` is undefined on create. */
export function runRules(value: unknown, old: unknown, schema: Schema): readonly FieldFailure[] {
  const out: FieldFailure[] = []
  runNode({ value, old, schema, path: '', isResource: true }, out)
  return out
}

interface Run {
  readonly value: unknown
  readonly old: unknown
  readonly schema: Schema
  readonly path: string
  readonly isResource: boolean
}

function runNode(run: Run, out: FieldFailure[]): void {
  const { value, schema } = run
  if (value === null || value === undefined) return
  if (schema.rules.length > 0) runOwnRules(run, out)
  if (Array.isArray(value)) runItems(value, run, out)
  else if (isObject(value)) runFields(value, run, out)
}

function runOwnRules({ value, old, schema, path, isResource }: Run, out: FieldFailure[]): void {
  const converted = convert(value, schema, isResource)
  const convertedOld = old === undefined ? { value: undefined } : convert(old, schema, isResource)
  const shown = isObject(value) ? 'object' : Array.isArray(value) ? 'array' : value
  for (const rule of schema.rules) {
    if (rule.isTransition && old === undefined && !rule.hasOptionalOld) continue
    const message = converted.error ?? convertedOld.error ?? rule.run(converted.value, convertedOld.value)
    if (message === undefined) continue
    out.push({
      field: `${path}${rule.fieldPath}` || '<root>',
      reason: rule.reason,
      message: worded(rule, shown, message),
    })
  }
}

function worded(rule: CelRule, shown: unknown, message: string): string {
  switch (rule.reason) {
    case 'FieldValueInvalid':
      return `Invalid value: ${renderValue(shown)}: ${message}`
    case 'FieldValueForbidden':
      return `Forbidden: ${message}`
    case 'FieldValueRequired':
      return `Required value: ${message}`
    case 'FieldValueDuplicate':
      return `Duplicate value: ${renderValue(shown)}`
  }
}

interface Converted {
  readonly value?: unknown
  readonly error?: string
}

function convert(value: unknown, schema: Schema, isResource: boolean): Converted {
  try {
    return { value: toCelValue(value, schema, isResource) }
  } catch (error) {
    // A date or duration that the evaluator cannot read.
    return { error: toError(error).message.split('\n')[0] ?? '' }
  }
}

function runFields(object: JsonObject, run: Run, out: FieldFailure[]): void {
  const { schema, old, path } = run
  for (const [key, item] of Object.entries(object)) {
    const child = schema.properties.get(key) ?? schema.additionalProperties
    if (child === undefined || child === true) continue
    const oldItem = isObject(old) ? ownValue(old, key) : undefined
    runNode(
      { value: item, old: oldItem, schema: child, path: childPath(path, key), isResource: child.embedded },
      out,
    )
  }
}

function runItems(list: readonly unknown[], run: Run, out: FieldFailure[]): void {
  const { schema, path } = run
  const items = schema.items
  if (items === undefined) return
  const olds = new Map<string, unknown>()
  if (schema.listType === 'map' && Array.isArray(run.old)) {
    for (const item of run.old) olds.set(canonical(mapKeyOf(item, schema)), item)
  }
  for (const [index, item] of list.entries()) {
    const old = olds.get(canonical(mapKeyOf(item, schema)))
    runNode({ value: item, old, schema: items, path: `${path}[${index}]`, isResource: items.embedded }, out)
  }
}
