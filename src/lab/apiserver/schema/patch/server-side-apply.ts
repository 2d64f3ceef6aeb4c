import { parseJson, showValue } from '../../../../base/index.ts'
import {
  fromEntries,
  isObject,
  type JsonObject,
  jsonEqual,
  listAt,
  objectAt,
  ownValue,
  stringAt,
  withKey,
} from '../record.ts'
import {
  type FieldSchema,
  fieldOf,
  isAtomicMap,
  itemsOf,
  keyValue,
  listMapKeysOf,
  listTypeOf,
} from './field-schema.ts'
import { type FieldSet, fieldSet, parseListKey, readFieldSet, writeFieldSet } from './field-set.ts'
import { PatchError } from './patch-error.ts'

/** Who applies, when, and what the API knows of the kind. */
export interface Applier {
  readonly schema: FieldSchema
  readonly fieldManager: string
  readonly nowMs: number
  readonly subresource?: string
}

/**
 * Server-side apply as a merge without conflicts: the applied fields win; what this manager applied before and applies
 * no more is removed, unless another manager applied it too. The record of it is in `metadata.managedFields`.
 * @param base undefined when the object does not exist yet
 * @throws {PatchError} 400 for a configuration that no apply may hold
 */
export function serverSideApply(
  base: JsonObject | undefined,
  config: JsonObject,
  applier: Applier,
): JsonObject {
  if (listAt(objectAt(config, 'metadata'), 'managedFields').length > 0) {
    throw new PatchError(
      400,
      'Cannot apply: metadata.managedFields must be nil',
      'Remove metadata.managedFields',
    )
  }
  if (applier.fieldManager === '') {
    throw new PatchError(
      400,
      'Cannot apply: fieldManager is required for apply patch',
      'Add ?fieldManager=NAME',
    )
  }
  const live = base ?? {}
  const entries = listAt(objectAt(live, 'metadata'), 'managedFields')
  const mine = entries.find((entry) => isMine(entry, applier))
  const others = entries.filter((entry) => entry !== mine)
  const now = fieldSet(ownedPart(config), applier.schema)
  const before = mine === undefined ? clientSideSet(live, applier) : readFieldSet(objectAt(mine, 'fieldsV1'))
  const shared = others.flatMap((entry) =>
    stringAt(entry, 'operation') === 'Apply' ? [readFieldSet(objectAt(entry, 'fieldsV1'))] : [],
  )
  const cleaned = removeDropped(live, { schema: applier.schema, before, now, shared })
  const merged = applyValue(isObject(cleaned) ? cleaned : {}, config, applier.schema)
  if (!isObject(merged)) return live
  return withManagers(merged, [...others, entryOf(config, now, { applier, mine })])
}

const lastApplied = 'kubectl.kubernetes.io/last-applied-configuration'

/** kubectl may have applied on the client's side before: the annotation says what, so that it can be removed too. */
function clientSideSet(live: JsonObject, { fieldManager, schema }: Applier): FieldSet {
  const text = stringAt(objectAt(objectAt(live, 'metadata'), 'annotations'), lastApplied)
  const config = fieldManager === 'kubectl' && text !== undefined ? parsed(text) : undefined
  return isObject(config) ? fieldSet(ownedPart(config), schema) : readFieldSet(undefined)
}

function parsed(text: string): unknown {
  try {
    return parseJson(text)
  } catch {
    return undefined // an annotation written by another hand says nothing
  }
}

function isMine(entry: unknown, { fieldManager, subresource }: Applier): boolean {
  return (
    stringAt(entry, 'manager') === fieldManager &&
    stringAt(entry, 'operation') === 'Apply' &&
    (stringAt(entry, 'subresource') ?? '') === (subresource ?? '')
  )
}

const systemMetadata = [
  'name',
  'namespace',
  'generateName',
  'uid',
  'resourceVersion',
  'generation',
  'creationTimestamp',
  'deletionTimestamp',
  'selfLink',
  'managedFields',
]

/** What a manager can own: not the identity of the object. */
function ownedPart(config: JsonObject): JsonObject {
  const owned = Object.entries(config).filter(([key]) => key !== 'apiVersion' && key !== 'kind')
  return fromEntries(
    owned.flatMap(([key, value]): (readonly [string, unknown])[] => {
      if (key !== 'metadata' || !isObject(value)) return [[key, value]]
      const rest = Object.entries(value).filter(([name]) => !systemMetadata.includes(name))
      return rest.length === 0 ? [] : [[key, fromEntries(rest)]]
    }),
  )
}

function entryOf(
  config: JsonObject,
  now: FieldSet,
  { applier, mine }: { readonly applier: Applier; readonly mine: unknown },
): JsonObject {
  const fieldsV1 = writeFieldSet(now)
  const isSame = isObject(mine) && jsonEqual(mine['fieldsV1'], fieldsV1)
  const time = isSame ? mine['time'] : new Date(applier.nowMs).toISOString().replace(/\.\d+Z$/, 'Z')
  return {
    manager: applier.fieldManager,
    operation: 'Apply',
    apiVersion: stringAt(config, 'apiVersion') ?? '',
    time,
    fieldsType: 'FieldsV1',
    fieldsV1,
    ...(applier.subresource === undefined ? {} : { subresource: applier.subresource }),
  }
}

function withManagers(object: JsonObject, managedFields: readonly unknown[]): JsonObject {
  return withKey(object, 'metadata', { ...objectAt(object, 'metadata'), managedFields })
}

function applyValue(base: unknown, config: unknown, schema: FieldSchema): unknown {
  if (Array.isArray(config)) return applyList(base, config, schema)
  if (!isObject(config)) return config
  if (isAtomicMap(schema) || !isObject(base)) return withoutNulls(config)
  const merged = new Map(Object.entries(base))
  for (const [key, value] of Object.entries(config)) {
    if (value === null) merged.delete(key)
    else merged.set(key, applyValue(merged.get(key), value, fieldOf(schema, key)))
  }
  return fromEntries(merged)
}

/** A null in an applied object says the same as leaving the field out. */
function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls)
  if (!isObject(value)) return value
  return fromEntries(
    Object.entries(value).flatMap(([key, item]): (readonly [string, unknown])[] =>
      item === null ? [] : [[key, withoutNulls(item)]],
    ),
  )
}

function applyList(base: unknown, config: readonly unknown[], schema: FieldSchema): readonly unknown[] {
  const old: readonly unknown[] = Array.isArray(base) ? base : []
  switch (listTypeOf(schema)) {
    case 'atomic':
      return config.map(withoutNulls)
    case 'set':
      return [...old, ...config.filter((item) => !old.some((other) => jsonEqual(item, other)))]
    case 'map': {
      const merged = [...old]
      for (const item of config) {
        const at = merged.findIndex((other) => sameKeys(other, item, schema))
        const next = applyValue(at < 0 ? {} : merged[at], item, itemsOf(schema))
        if (at < 0) merged.push(next)
        else merged[at] = next
      }
      return inOrderOf(merged, config, schema)
    }
  }
}

function sameKeys(left: unknown, right: unknown, schema: FieldSchema): boolean {
  const items = itemsOf(schema)
  return listMapKeysOf(schema).every((key) => {
    const value = keyValue(right, key, items)
    if (value === undefined && !isObject(right)) {
      throw new PatchError(
        400,
        `Cannot apply: item ${showValue(right)} is not an object`,
        'Write objects with their keys',
      )
    }
    return jsonEqual(keyValue(left, key, items), value)
  })
}

/** New items stand where the configuration has them when it names all of them; else they follow what was there. */
function inOrderOf(
  merged: readonly unknown[],
  config: readonly unknown[],
  schema: FieldSchema,
): readonly unknown[] {
  if (merged.length !== config.length) return merged
  return config.flatMap((item) => merged.filter((other) => sameKeys(other, item, schema)).slice(0, 1))
}

interface Dropping {
  readonly schema: FieldSchema
  readonly before: FieldSet
  readonly now: FieldSet | undefined
  /** What other managers apply at this place. */
  readonly shared: readonly FieldSet[]
}

/** `undefined`: the value itself goes. */
function removeDropped(value: unknown, dropping: Dropping): unknown {
  let result: unknown = value
  for (const [step, before] of dropping.before.children) {
    const now = dropping.now?.children.get(step)
    const shared = dropping.shared.flatMap((set) => set.children.get(step) ?? [])
    const isOwnedNoMore = now === undefined && shared.length === 0
    const isWhole = before.children.size === 0 || (before.isOwned && step.startsWith('k:'))
    if (isOwnedNoMore && isWhole) result = removeStep(result, step)
    else result = changeStep(result, step, { ...dropping, before, now, shared })
  }
  return result
}

function removeStep(value: unknown, step: string): unknown {
  if (step.startsWith('f:')) return isObject(value) ? withKey(value, step.slice(2), undefined) : value
  if (!Array.isArray(value)) return value
  return value.filter((item) => !isAtStep(item, step))
}

function isAtStep(item: unknown, step: string): boolean {
  const key = parseListKey(step)
  if (step.startsWith('v:')) return jsonEqual(item, key)
  return (
    isObject(key) &&
    Object.entries(key).every(([name, wanted]) => {
      const found = isObject(item) ? ownValue(item, name) : undefined
      // A key that the item leaves out has its default, which is what the step says.
      return found === undefined || jsonEqual(found, wanted)
    })
  )
}

function changeStep(value: unknown, step: string, dropping: Dropping): unknown {
  if (step.startsWith('f:')) {
    const key = step.slice(2)
    if (!isObject(value) || !Object.hasOwn(value, key)) return value
    const before = ownValue(value, key)
    const after = removeDropped(before, { ...dropping, schema: fieldOf(dropping.schema, key) })
    if (after === before) return value
    const isEmptied = isEmpty(after) && dropping.now === undefined
    return withKey(value, key, isEmptied ? undefined : after)
  }
  if (!Array.isArray(value)) return value
  const inner = { ...dropping, schema: itemsOf(dropping.schema), before: withoutKeys(dropping) }
  return value.map((item) => (isAtStep(item, step) ? removeDropped(item, inner) : item))
}

/** The keys stay as long as their item does, also when the configuration leaves one to its default. */
function withoutKeys({ before, schema }: Dropping): FieldSet {
  const keys = listMapKeysOf(schema).map((key) => `f:${key}`)
  return { ...before, children: new Map([...before.children].filter(([step]) => !keys.includes(step))) }
}

const isEmpty = (value: unknown): boolean =>
  Array.isArray(value) ? value.length === 0 : isObject(value) && Object.keys(value).length === 0
