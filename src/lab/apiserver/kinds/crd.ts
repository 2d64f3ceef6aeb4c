import type { ApiObject } from '../object.ts'
import { type CompiledCrd, compileCrd } from '../schema/crd/compile-crd.ts'
import { type FieldFailure, invalid } from '../schema/failure.ts'
import {
  type JsonObject,
  jsonEqual,
  listAt,
  objectAt,
  ownValue,
  stringAt,
  withKey,
} from '../schema/record.ts'
import { edit, editObject, fill } from './edit.ts'
import type { Kind } from './kind.ts'

/** Holds a CustomResourceDefinition back until its objects are gone. */
export const crdCleanup = 'customresourcecleanup.apiextensions.k8s.io'

/** Names, conversion and status as a server that takes the definition at once would set them. */
export function prepareCrd(object: ApiObject, old: ApiObject | undefined, nowIso: string): ApiObject {
  const given = objectAt(object, 'spec')
  if (given === undefined) return object
  const kind = stringAt(objectAt(given, 'names'), 'kind') ?? ''
  const named = edit(given, 'names', (names) =>
    fill(names, { singular: kind.toLowerCase(), listKind: `${kind}List` }),
  )
  const converted = fill(named, { conversion: { strategy: 'None' } })
  const whole = { ...object, spec: converted }
  return editObject(whole, (all) => withKey(all, 'status', statusOf(converted, old, nowIso)))
}

function statusOf(spec: JsonObject, old: ApiObject | undefined, nowIso: string): JsonObject {
  const before = old === undefined ? undefined : objectAt(old, 'status')
  const storage = listAt(spec, 'versions').find((item) => flag(item, 'storage'))
  const storedVersions = listAt(before, 'storedVersions').map(String)
  const name = stringAt(storage, 'name')
  if (name !== undefined && !storedVersions.includes(name)) storedVersions.push(name)
  const condition = (type: string, reason: string, message: string) => ({
    lastTransitionTime: transition(before, type) ?? nowIso,
    message,
    reason,
    status: 'True',
    type,
  })
  const others = listAt(before, 'conditions').filter((item) => stringAt(item, 'type') === 'Terminating')
  return {
    acceptedNames: objectAt(spec, 'names') ?? {},
    conditions: [
      condition('NamesAccepted', 'NoConflicts', 'no conflicts found'),
      condition('Established', 'InitialNamesAccepted', 'the initial names have been accepted'),
      ...others,
    ],
    storedVersions,
  }
}

function flag(value: unknown, key: string): boolean {
  return typeof value === 'object' && value !== null && Reflect.get(value, key) === true
}

function transition(status: JsonObject | undefined, type: string): string | undefined {
  const found = listAt(status, 'conditions').find((item) => stringAt(item, 'type') === type)
  return stringAt(found, 'lastTransitionTime')
}

/**
 * What is wrong with a definition beyond what `compileCrd` refuses by itself.
 * @throws {InvalidInputError} with the field, for a definition that cannot be compiled
 */
export function checkCrd(
  object: ApiObject,
  old: ApiObject | undefined,
  ownerOf: (crd: CompiledCrd) => Kind | undefined,
): readonly FieldFailure[] {
  const crd = compileCrd(object)
  const failures: FieldFailure[] = []
  const taken = ownerOf(crd)
  if (taken !== undefined) {
    const detail = `group ${crd.group} has ${taken.plural} of kind ${taken.kind} already; choose other names`
    failures.push(invalid('spec.names', crd.plural, detail))
  }
  if (old === undefined) return failures
  for (const path of ['group', 'scope', 'names.plural', 'names.kind']) {
    const at = (whole: ApiObject) =>
      path.split('.').reduce<unknown>((value, key) => stepInto(value, key), objectAt(whole, 'spec'))
    if (!jsonEqual(at(object) ?? null, at(old) ?? null))
      failures.push(invalid(`spec.${path}`, at(object), 'field is immutable'))
  }
  return failures
}

function stepInto(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null ? ownValue({ ...value }, key) : undefined
}
