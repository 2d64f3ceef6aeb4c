import { InvalidInputError, stringifyJson } from '../../../base/index.ts'
import { apiVersionOf, type Kind, resourceKey, subjectOf } from '../kinds/kind.ts'
import { checkMeta } from '../kinds/names.ts'
import type { ApiObject, Meta } from '../object.ts'
import type { FieldFailure } from '../schema/failure.ts'
import { jsonEqual, listAt, objectAt, withKey } from '../schema/record.ts'
import { badRequest, invalidObject, StatusError } from '../status.ts'
import { recordKey, type StoredRecord } from '../store/record.ts'
import type { Call } from './call.ts'
import { fieldValidation } from './options.ts'

/** Largest object that is stored, as JSON. */
export const maxObjectBytes = 1_572_864

/** Whether this kind, in this version, has a status of its own that the main path does not write. */
export function hasStatus(kind: Kind, version: string): boolean {
  return kind.isCustom ? (kind.custom(version)?.hasStatus ?? false) : kind.hasStatus
}

/** Everything but metadata and, where it is a subresource, status: what `generation` counts. */
export function isSameSpec(kind: Kind, version: string, a: ApiObject, b: ApiObject): boolean {
  const part = (object: ApiObject) => {
    const rest = withKey(withKey(object, 'metadata', undefined), 'apiVersion', undefined)
    return hasStatus(kind, version) ? withKey(rest, 'status', undefined) : rest
  }
  return jsonEqual(part(a), part(b))
}

/** Warns of or refuses fields that the schema drops. @throws {StatusError} 400 with fieldValidation=Strict */
export function reportUnknownFields(kind: Kind, version: string, object: ApiObject, call: Call): void {
  const rule = fieldValidation(call.query)
  const unknown = rule === 'Ignore' ? [] : (kind.custom(version)?.unknownFields(object) ?? [])
  const texts = unknown.map((field) => `unknown field ${JSON.stringify(field)}`)
  if (texts.length === 0) return
  if (rule === 'Warn') call.warnings.push(...texts)
  else throw badRequest(`strict decoding error: ${texts.join(', ')}`)
}

/** Kinds whose content is described by code of ours may refuse with InvalidInputError: a 422 with its field. */
export function runCheck(check: () => readonly FieldFailure[]): readonly FieldFailure[] {
  try {
    return check()
  } catch (error) {
    if (!(error instanceof InvalidInputError)) throw error
    return [
      {
        field: error.field,
        reason: 'FieldValueInvalid',
        message: `Invalid value: ${error.value}: ${error.message}; ${error.hint}`,
      },
    ]
  }
}

/** @throws {StatusError} 422 with all that is wrong with the object */
export function refuseInvalid(kind: Kind, object: ApiObject, old: ApiObject | undefined): void {
  const failures = [...checkMeta(object, old, kind.nameRule), ...runCheck(() => kind.check(object, old))]
  if (failures.length > 0) throw invalidOf(kind, object, failures)
}

export function invalidOf(kind: Kind, object: ApiObject, failures: readonly FieldFailure[]): StatusError {
  return invalidObject({ group: kind.group, kind: kind.kind, name: object.metadata.name ?? '' }, failures)
}

/** @throws {StatusError} 413 */
export function refuseLarge(kind: Kind, object: ApiObject): void {
  const bytes = Buffer.byteLength(stringifyJson(object))
  if (bytes <= maxObjectBytes) return
  const message = `Request entity too large: ${kind.kind} "${object.metadata.name ?? ''}" has ${bytes} bytes: limit is ${maxObjectBytes}`
  throw new StatusError(413, 'RequestEntityTooLarge', message, { subject: subjectOf(kind) })
}

/** The object as it is stored: in the storage version, without what only requests carry. */
export function toStored(kind: Kind, object: ApiObject): ApiObject {
  const { selfLink: _, generateName, ...metadata } = object.metadata
  const kept: Meta = generateName === undefined ? metadata : { ...metadata, generateName }
  return { ...object, apiVersion: apiVersionOf(kind.group, kind.version), metadata: kept }
}

/** What a dry run answers: the object as it would be, at the version of now. */
export function unsaved(kind: Kind, object: ApiObject, version: number): StoredRecord {
  const { namespace = '', name = '' } = object.metadata
  const key = recordKey(namespace, name)
  return {
    resource: resourceKey(kind),
    key,
    namespace,
    name,
    version,
    object,
    text: stringifyJson(object),
  }
}

/** True when nothing keeps a terminating object any more. */
export function isReleased(kind: Kind, object: ApiObject): boolean {
  const { deletionTimestamp, finalizers = [], deletionGracePeriodSeconds = 0 } = object.metadata
  if (deletionTimestamp === undefined || finalizers.length > 0 || deletionGracePeriodSeconds > 0) return false
  if (kind.group !== '' || kind.plural !== 'namespaces') return true
  return listAt(objectAt(object, 'spec'), 'finalizers').length === 0
}

/** Metadata that only the server sets, taken from the stored object. */
export function keepSystemMeta(proposed: Meta, old: Meta): Meta {
  const {
    uid,
    creationTimestamp,
    deletionTimestamp,
    deletionGracePeriodSeconds,
    generation,
    name,
    namespace,
    generateName,
    managedFields,
  } = old
  const {
    deletionTimestamp: _d,
    deletionGracePeriodSeconds: _g,
    generation: _n,
    generateName: _p,
    ...rest
  } = proposed
  return {
    ...rest,
    ...(name === undefined ? {} : { name }),
    ...(namespace === undefined ? {} : { namespace }),
    ...(generateName === undefined ? {} : { generateName }),
    ...(uid === undefined ? {} : { uid }),
    ...(creationTimestamp === undefined ? {} : { creationTimestamp }),
    ...(deletionTimestamp === undefined ? {} : { deletionTimestamp }),
    ...(deletionGracePeriodSeconds === undefined ? {} : { deletionGracePeriodSeconds }),
    ...(generation === undefined ? {} : { generation }),
    ...(proposed.managedFields === undefined && managedFields !== undefined ? { managedFields } : {}),
  }
}
