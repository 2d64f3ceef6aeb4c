import { parseJson, stringifyJson } from '../../../../base/index.ts'
import { fromEntries, isObject, type JsonObject } from '../record.ts'
import {
  type FieldSchema,
  fieldOf,
  isAtomicMap,
  itemsOf,
  keyValue,
  listMapKeysOf,
  listTypeOf,
} from './field-schema.ts'

/**
 * The fields that a manager applied, as a tree. Steps are written as in `FieldsV1` of meta/v1: `f:name` a field,
 * `k:{...}` an item of a map list by its keys, `v:...` an item of a set.
 */
export interface FieldSet {
  readonly children: ReadonlyMap<string, FieldSet>
  /** The place itself was applied, not only what is below it. */
  readonly isOwned: boolean
}

const leaf: FieldSet = { children: new Map(), isOwned: true }

/** The fields that a configuration holds. */
export function fieldSet(value: unknown, schema: FieldSchema): FieldSet {
  if (Array.isArray(value)) return listSet(value, schema)
  if (!isObject(value) || isAtomicMap(schema)) return leaf
  const children = Object.entries(value).flatMap(([key, item]) =>
    item === null ? [] : [[`f:${key}`, fieldSet(item, fieldOf(schema, key))] as const],
  )
  return { children: new Map(children), isOwned: children.length === 0 }
}

function listSet(list: readonly unknown[], schema: FieldSchema): FieldSet {
  const items = itemsOf(schema)
  switch (listTypeOf(schema)) {
    case 'atomic':
      return leaf
    case 'set':
      return {
        children: new Map(list.map((item) => [`v:${stringifyJson(item)}`, leaf])),
        isOwned: list.length === 0,
      }
    case 'map': {
      const children = list.map((item) => {
        const set = fieldSet(item, items)
        return [`k:${stringifyJson(keysOf(item, schema))}`, { ...set, isOwned: true }] as const
      })
      return { children: new Map(children), isOwned: list.length === 0 }
    }
  }
}

function keysOf(item: unknown, schema: FieldSchema): JsonObject {
  const keys = [...listMapKeysOf(schema)].sort()
  return fromEntries(
    keys.flatMap((key): (readonly [string, unknown])[] => {
      const value = keyValue(item, key, itemsOf(schema))
      return value === undefined ? [] : [[key, value]]
    }),
  )
}

/** Reads `fieldsV1`; what is malformed in it owns nothing. */
export function readFieldSet(fields: JsonObject | undefined): FieldSet {
  if (fields === undefined) return { children: new Map(), isOwned: false }
  const steps = Object.entries(fields).filter(([step]) => step !== '.')
  const children = steps.flatMap(([step, inner]) =>
    isObject(inner) ? [[step, readFieldSet(inner)] as const] : [],
  )
  return { children: new Map(children), isOwned: Object.hasOwn(fields, '.') || steps.length === 0 }
}

/** Writes `fieldsV1`. */
export function writeFieldSet(set: FieldSet): JsonObject {
  const children = [...set.children].map(([step, inner]) => [step, writeFieldSet(inner)] as const)
  const marksItself = set.isOwned && children.length > 0
  return fromEntries([...(marksItself ? [['.', {}] as const] : []), ...children])
}

/** The JSON behind `k:` or `v:`; undefined when it is malformed. */
export function parseListKey(step: string): unknown {
  try {
    return parseJson(step.slice(2))
  } catch {
    return undefined // written by another hand: such a step matches no item
  }
}
