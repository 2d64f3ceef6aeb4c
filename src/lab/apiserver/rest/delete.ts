import { isoSeconds, type ServerContext } from '../context.ts'
import { parseContent } from '../http/read-body.ts'
import { crdCleanup } from '../kinds/crd.ts'
import { valueAt } from '../kinds/edit.ts'
import { type Kind, resourceKey, subjectOf } from '../kinds/kind.ts'
import { crdResource } from '../kinds/registry.ts'
import type { ApiObject, Meta } from '../object.ts'
import { isObject, type JsonObject, listAt, objectAt, ownValue, stringAt } from '../schema/record.ts'
import { badRequest, conflict, forbiddenStatus, successStatus } from '../status.ts'
import type { StoredRecord } from '../store/record.ts'
import { callWebhooks } from './admission.ts'
import type { Call, Target } from './call.ts'
import { isReleased } from './finish.ts'
import { isDryRun, numberOption } from './options.ts'
import { findRecord } from './read.ts'

export interface DeleteOptions {
  readonly uid: string | undefined
  readonly resourceVersion: string | undefined
  readonly graceSeconds: number | undefined
  readonly propagation: 'Foreground' | 'Background' | 'Orphan' | undefined
  readonly dryRun: boolean
}

const propagations = ['Foreground', 'Background', 'Orphan'] as const

/** DeleteOptions of meta/v1 from body and query. @throws {StatusError} 400 that names the field */
export function readDeleteOptions(call: Call): DeleteOptions {
  const body = call.body.byteLength === 0 ? {} : parseContent(call.body, call.contentType)
  if (!isObject(body)) throw badRequest('DeleteOptions must be an object')
  const kind = stringAt(body, 'kind')
  if (kind !== undefined && kind !== 'DeleteOptions')
    throw badRequest(`the body of a DELETE must be DeleteOptions, not ${JSON.stringify(kind)}`)
  const preconditions = objectAt(body, 'preconditions')
  const policy = call.query.get('propagationPolicy') ?? stringAt(body, 'propagationPolicy')
  const orphan = ownValue(body, 'orphanDependents')
  const propagation = propagations.find((known) => known === policy)
  if (policy !== undefined && policy !== '' && propagation === undefined)
    throw badRequest(
      `Invalid value: ${JSON.stringify(policy)}: propagationPolicy must be one of ${propagations.join(', ')}`,
    )
  return {
    uid: stringAt(preconditions, 'uid'),
    resourceVersion: stringAt(preconditions, 'resourceVersion'),
    graceSeconds: graceOf(call, body),
    propagation: propagation ?? (orphan === true ? 'Orphan' : undefined),
    dryRun: isDryRun(call.query, listAt(body, 'dryRun')),
  }
}

function graceOf(call: Call, body: JsonObject): number | undefined {
  const value =
    numberOption(call.query, 'gracePeriodSeconds') ?? ownValue(body, 'gracePeriodSeconds') ?? undefined
  if (value === undefined) return undefined
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value
  throw badRequest(`Invalid value: ${String(value)}: gracePeriodSeconds must be a whole number, 0 or more`)
}

/** Where an object is after a DELETE: gone, or on its way. */
export interface Deleted {
  readonly record: StoredRecord
  readonly isGone: boolean
}

const maxAttempts = 10
const protectedNamespaces = ['default', 'kube-system', 'kube-public', 'kube-node-lease']

/** DELETE of one object. @throws {StatusError} */
export async function deleteObject(
  context: ServerContext,
  { kind, path }: Target,
  call: Call,
  options: DeleteOptions,
): Promise<Deleted> {
  if (kind.group === '' && kind.plural === 'namespaces' && protectedNamespaces.includes(path.name))
    throw forbiddenStatus(subjectOf(kind, path.name), 'this namespace may not be deleted')
  for (let attempt = 1; ; attempt++) {
    const current = findRecord(context, kind, path)
    checkPreconditions(kind, current, options)
    const request = { operation: 'DELETE', kind, path, object: undefined, dryRun: options.dryRun } as const
    await callWebhooks(context, call, 'mutating', { ...request, oldObject: current.object })
    await callWebhooks(context, call, 'validating', { ...request, oldObject: current.object })
    const deleted = removeOrMark(context, kind, current, options)
    if (deleted !== undefined) {
      if (!options.dryRun) await context.store.durable(deleted.record.version)
      return deleted
    }
    if (attempt === maxAttempts) throw conflict(subjectOf(kind, path.name))
  }
}

function checkPreconditions(kind: Kind, current: StoredRecord, options: DeleteOptions): void {
  const { uid, resourceVersion } = options
  const own = current.object.metadata.uid ?? ''
  if (uid !== undefined && uid !== own) {
    const why = `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${own}`
    throw conflict(subjectOf(kind, current.name), why)
  }
  if (resourceVersion !== undefined && resourceVersion !== String(current.version)) {
    const why = `Precondition failed: ResourceVersion in precondition: ${resourceVersion}, ResourceVersion in object meta: ${current.version}`
    throw conflict(subjectOf(kind, current.name), why)
  }
}

/** Removes the object, or marks it as terminating; undefined when somebody else wrote it meanwhile. */
export function removeOrMark(
  context: ServerContext,
  kind: Kind,
  current: StoredRecord,
  options: DeleteOptions,
): Deleted | undefined {
  const { store } = context
  const resource = resourceKey(kind)
  const marked = mark(context, kind, current.object, options)
  const isGone = isReleased(kind, marked)
  if (options.dryRun) return { record: current, isGone }
  if (isGone) {
    const record = store.remove(resource, current.key, current.version)
    return record === undefined ? undefined : { record, isGone }
  }
  if (marked === current.object) return { record: current, isGone }
  const record = store.put(resource, marked, current.version)
  return record === undefined ? undefined : { record, isGone }
}

function mark(context: ServerContext, kind: Kind, object: ApiObject, options: DeleteOptions): ApiObject {
  const old = object.metadata
  const grace = graceSeconds(kind, object, options)
  const finalizers = finalizersAfter(context, kind, object, options)
  const sameFinalizers = finalizers.join() === (old.finalizers ?? []).join()
  const isTerminating = old.deletionTimestamp !== undefined
  if (isTerminating && sameFinalizers && grace >= (old.deletionGracePeriodSeconds ?? 0)) return object
  const { finalizers: _, ...rest } = old
  const isShorter = !isTerminating || grace < (old.deletionGracePeriodSeconds ?? 0)
  const metadata: Meta = {
    ...rest,
    ...(finalizers.length === 0 ? {} : { finalizers }),
    ...(isShorter
      ? {
          deletionTimestamp: isoSeconds(context.clock.nowMs() + grace * 1000),
          deletionGracePeriodSeconds: grace,
        }
      : {}),
    ...(isTerminating || old.generation === undefined ? {} : { generation: old.generation + 1 }),
  }
  const marked = { ...object, metadata }
  if (kind.group !== '' || kind.plural !== 'namespaces') return marked
  return { ...marked, status: { ...objectAt(object, 'status'), phase: 'Terminating' } }
}

const podGraceSeconds = 30

// Only pods go gracefully: their kubelet ends the containers and then deletes with grace 0.
function graceSeconds(kind: Kind, object: ApiObject, options: DeleteOptions): number {
  if (kind.group !== '' || kind.plural !== 'pods') return 0
  const isPlaced = (stringAt(objectAt(object, 'spec'), 'nodeName') ?? '') !== ''
  const phase = stringAt(objectAt(object, 'status'), 'phase') ?? ''
  if (!isPlaced || phase === 'Succeeded' || phase === 'Failed') return 0
  const own = valueAt(object, ['spec', 'terminationGracePeriodSeconds'])
  return options.graceSeconds ?? (typeof own === 'number' ? own : podGraceSeconds)
}

function finalizersAfter(
  context: ServerContext,
  kind: Kind,
  object: ApiObject,
  options: DeleteOptions,
): readonly string[] {
  let finalizers = [...(object.metadata.finalizers ?? [])]
  if (options.propagation !== undefined) {
    finalizers = finalizers.filter((name) => name !== 'orphan' && name !== 'foregroundDeletion')
    if (options.propagation === 'Orphan') finalizers.push('orphan')
    if (options.propagation === 'Foreground') finalizers.push('foregroundDeletion')
  }
  if (resourceKey(kind) !== crdResource) return finalizers
  const instances = `${stringAt(objectAt(object, 'spec'), 'group')}/${String(valueAt(object, ['spec', 'names', 'plural']))}`
  const isEmpty = context.store.count(instances) === 0
  if (!isEmpty && !finalizers.includes(crdCleanup)) finalizers.push(crdCleanup)
  return finalizers
}

/** The body that a DELETE of one object answers with when the object is gone. */
export function deletedStatus(kind: Kind, record: StoredRecord): JsonObject {
  const { uid = '' } = record.object.metadata
  return successStatus({
    name: record.name,
    ...(kind.group === '' ? {} : { group: kind.group }),
    kind: kind.plural,
    uid,
  })
}
