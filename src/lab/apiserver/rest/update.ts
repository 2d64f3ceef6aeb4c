import { nowIso, type ServerContext } from '../context.ts'
import type { ResourcePath } from '../http/request-path.ts'
import { apiVersionOf, type Kind, resourceKey, subjectOf } from '../kinds/kind.ts'
import { type ApiObject, type Meta, parseObject } from '../object.ts'
import { invalid } from '../schema/failure.ts'
import { isObject, jsonEqual, ownValue, withKey } from '../schema/record.ts'
import { badRequest, conflict } from '../status.ts'
import type { StoredRecord } from '../store/record.ts'
import { callWebhooks } from './admission.ts'
import type { Call, Target } from './call.ts'
import {
  hasStatus,
  invalidOf,
  isReleased,
  isSameSpec,
  keepSystemMeta,
  refuseInvalid,
  refuseLarge,
  reportUnknownFields,
  runCheck,
  toStored,
  unsaved,
} from './finish.ts'
import { isDryRun } from './options.ts'
import { findRecord } from './read.ts'
import { inVersion } from './view.ts'

const maxAttempts = 10

/** How the new object comes from the current one, given in the version of the request. May throw a StatusError. */
export type Change = (current: ApiObject) => unknown

/**
 * Changes one object, or its status: reads, changes, checks, writes if nobody else wrote meanwhile, and otherwise begins
 * again, unless the change carries a resourceVersion.
 * @throws {StatusError}
 */
export async function updateObject(
  context: ServerContext,
  { kind, path }: Target,
  call: Call,
  change: Change,
): Promise<StoredRecord> {
  for (let attempt = 1; ; attempt++) {
    const current = findRecord(context, kind, path)
    const old = inVersion(current.object, kind, path.version)
    const proposed = readProposed(kind, path, change(old))
    checkPreconditions(kind, proposed.metadata, current, call.method)
    refuseRewritten(kind, proposed, old)
    reportUnknownFields(kind, path.version, proposed, call)
    const next = await admitted(context, call, { kind, path, proposed, old })
    const written = write(context, kind, { current, next, dryRun: isDryRun(call.query) })
    if (written !== undefined) {
      if (!isDryRun(call.query)) await context.store.durable(written.version)
      return written
    }
    // A change that carries a resourceVersion fails at the next attempt, when it meets the new version.
    if (attempt === maxAttempts) throw conflict(subjectOf(kind, path.name))
  }
}

const versionedGroups = [
  'apiextensions.k8s.io',
  'admissionregistration.k8s.io',
  'coordination.k8s.io',
  'policy',
]

/** PUT: the whole object is replaced; for many kinds only by somebody who names the version that he read. */
export async function replaceObject(
  context: ServerContext,
  target: Target,
  call: Call,
  body: unknown,
): Promise<StoredRecord> {
  const { kind, path } = target
  return updateObject(context, target, call, () => {
    const proposed = readProposed(kind, path, body)
    if (!kind.isCustom && !versionedGroups.includes(kind.group)) return proposed
    if ((proposed.metadata.resourceVersion ?? '') !== '') return proposed
    const detail = 'must be specified for an update'
    throw invalidOf(kind, proposed, [invalid('metadata.resourceVersion', 0, detail)])
  })
}

function readProposed(kind: Kind, path: ResourcePath, value: unknown): ApiObject {
  const object = parseObject(value, { apiVersion: apiVersionOf(kind.group, path.version), kind: kind.kind })
  const { name = path.name, namespace } = object.metadata
  if (name !== path.name) {
    throw badRequest(`the name of the object (${name}) does not match the name on the URL (${path.name})`)
  }
  if (kind.namespaced && namespace !== undefined && namespace !== '' && namespace !== path.namespace) {
    throw badRequest(
      `the namespace of the object (${namespace}) does not match the namespace on the URL (${path.namespace})`,
    )
  }
  return object
}

function checkPreconditions(kind: Kind, proposed: Meta, current: StoredRecord, method: string): void {
  const { uid, resourceVersion = '' } = proposed
  const own = current.object.metadata.uid
  if (method === 'PUT' && uid !== undefined && uid !== '' && uid !== own) {
    const why = `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${own}`
    throw conflict(subjectOf(kind, current.name), why)
  }
  if (resourceVersion !== '' && resourceVersion !== String(current.version))
    throw conflict(subjectOf(kind, current.name))
}

/** What the system wrote stays. Left out, it is filled in; a creation time is, whatever comes. */
const writtenOnce = ['uid', 'deletionTimestamp'] as const

function refuseRewritten(kind: Kind, proposed: ApiObject, old: ApiObject): void {
  const failures = writtenOnce
    .filter(
      (name) => (proposed.metadata[name] ?? '') !== '' && proposed.metadata[name] !== old.metadata[name],
    )
    .map((name) => invalid(`metadata.${name}`, proposed.metadata[name], 'field is immutable'))
  if (failures.length > 0) throw invalidOf(kind, proposed, failures)
}

interface Proposal {
  readonly kind: Kind
  readonly path: ResourcePath
  readonly proposed: ApiObject
  readonly old: ApiObject
}

async function admitted(context: ServerContext, call: Call, proposal: Proposal): Promise<ApiObject> {
  const { kind, path, old } = proposal
  const shaped = shape(context, proposal)
  const request = { operation: 'UPDATE', kind, path, oldObject: old, dryRun: isDryRun(call.query) } as const
  const mutated = await callWebhooks(context, call, 'mutating', { ...request, object: shaped })
  const final =
    mutated === undefined || mutated === shaped ? shaped : shape(context, { ...proposal, proposed: mutated })
  if (path.subresource === '') refuseInvalid(kind, final, old)
  else if (path.subresource === 'status') refuseInvalidStatus(kind, path.version, final, old)
  refuseLarge(kind, final)
  await callWebhooks(context, call, 'validating', { ...request, object: final })
  return final
}

function refuseInvalidStatus(kind: Kind, version: string, object: ApiObject, old: ApiObject): void {
  const custom = kind.custom(version)
  if (custom === undefined) return
  const failures = runCheck(() => custom.validate(object, old, { subresource: 'status' }))
  if (failures.length > 0) throw invalidOf(kind, object, failures)
}

// What this path may change comes from the proposal, all else stays.
function shape(context: ServerContext, { kind, path, proposed, old }: Proposal): ApiObject {
  if (path.subresource === 'status') return shapeStatus(kind, proposed, old)
  const metadata = keepSystemMeta(proposed.metadata, old.metadata)
  const object = { ...proposed, metadata }
  if (path.subresource !== '') return object
  const kept = hasStatus(kind, path.version)
    ? restore(object, withKey(object, 'status', ownValue(old, 'status')))
    : object
  const prepared = kind.prepare(kept, old, nowIso(context))
  if (!kind.hasGeneration || isSameSpec(kind, path.version, prepared, old)) return prepared
  const generation = (old.metadata.generation ?? 0) + 1
  return { ...prepared, metadata: { ...prepared.metadata, generation } }
}

// Kubelets write labels and annotations of their objects along with the status.
const metaThroughStatus = ['/pods', '/nodes']

function shapeStatus(kind: Kind, proposed: ApiObject, old: ApiObject): ApiObject {
  const status = ownValue(proposed, 'status')
  const { labels, annotations, managedFields } = proposed.metadata
  const metadata: Meta = {
    ...old.metadata,
    ...(managedFields === undefined ? {} : { managedFields }),
    ...(metaThroughStatus.includes(resourceKey(kind))
      ? {
          ...(labels === undefined ? {} : { labels }),
          ...(annotations === undefined ? {} : { annotations }),
        }
      : {}),
  }
  const whole = { ...old, metadata }
  const next = restore(whole, withKey(whole, 'status', isObject(status) ? status : undefined))
  return kind.isCustom ? kind.prepare(next, old, '') : next
}

function restore(envelope: ApiObject, content: object): ApiObject {
  const { apiVersion, kind, metadata } = envelope
  return { ...content, apiVersion, kind, metadata }
}

interface Write {
  readonly current: StoredRecord
  readonly next: ApiObject
  readonly dryRun: boolean
}

function write(
  context: ServerContext,
  kind: Kind,
  { current, next, dryRun }: Write,
): StoredRecord | undefined {
  const stored = toStored(kind, next)
  const unversioned = (object: ApiObject) => ({
    ...object,
    metadata: { ...object.metadata, resourceVersion: '' },
  })
  const { store } = context
  const resource = resourceKey(kind)
  if (jsonEqual(unversioned(stored), unversioned(current.object)))
    return store.get(resource, current.key) === current ? current : undefined
  if (dryRun) return unsaved(kind, stored, current.version)
  if (!isReleased(kind, stored)) return store.put(resource, stored, current.version)
  // The last finalizer is gone: nobody sees the object without it, it goes at once.
  if (store.get(resource, current.key) !== current) return undefined
  const record = store.put(resource, stored, current.version)
  return record === undefined ? undefined : store.remove(resource, record.key, record.version)
}
