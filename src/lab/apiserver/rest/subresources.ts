import { stringifyJson } from '../../../base/index.ts'
import { requestToken } from '../auth/reviews.ts'
import { nowIso, type ServerContext } from '../context.ts'
import { parseContent } from '../http/read-body.ts'
import type { ResourcePath } from '../http/request-path.ts'
import { valueAt, withValueAt } from '../kinds/edit.ts'
import { type Kind, resourceKey, subjectOf } from '../kinds/kind.ts'
import { type ApiObject, parseObject } from '../object.ts'
import { applyPatch } from '../schema/patch/apply-patch.ts'
import { isObject, listAt, objectAt, ownValue, stringAt } from '../schema/record.ts'
import { badRequest, conflict, methodNotAllowed, notFound, pathNotFound, successStatus } from '../status.ts'
import type { StoredRecord } from '../store/record.ts'
import { selectorText } from '../tables/workloads.ts'
import { type Answer, type Call, jsonAnswer } from './call.ts'
import { deleteObject, readDeleteOptions } from './delete.ts'
import { isReleased } from './finish.ts'
import { readPatch, runPatch } from './patch.ts'
import { findRecord } from './read.ts'
import { updateObject } from './update.ts'

const created = 201

/** Subresources other than status. @throws {StatusError} 404 for one that the kind does not have */
export function answerSubresource(
  context: ServerContext,
  kind: Kind,
  path: ResourcePath,
  call: Call,
): Promise<Answer> {
  const { subresource } = path
  if (subresource === 'scale' && kind.scale !== undefined) return answerScale(context, kind, path, call)
  if (kind.kind === 'Pod' && subresource === 'log')
    throw badRequest(
      'lab pods are pause processes that print nothing: there is no log; see: kubectl describe pod',
    )
  if (!kind.subresources.includes(subresource)) throw pathNotFound()
  if (subresource === 'finalize') {
    if (call.method !== 'PUT') throw methodNotAllowed(call.method)
    return finalize(context, kind, path, call)
  }
  if (call.method !== 'POST') throw methodNotAllowed(call.method)
  switch (subresource) {
    case 'binding':
      return bind(context, kind, path, call)
    case 'eviction':
      return evict(context, kind, path, call)
    case 'token':
      return requestToken(context, kind, path, call)
    default:
      throw pathNotFound()
  }
}

const scaleEnvelope = { apiVersion: 'autoscaling/v1', kind: 'Scale' }

async function answerScale(
  context: ServerContext,
  kind: Kind,
  path: ResourcePath,
  call: Call,
): Promise<Answer> {
  if (call.method === 'GET') {
    const record = findRecord(context, kind, path)
    await context.store.durable(record.version)
    return jsonAnswer(stringifyJson(scaleOf(kind, record.object)))
  }
  const change = scaleChange(kind, path, call)
  const main = { ...path, subresource: '' }
  const record = await updateObject(context, { kind, path: main }, call, (current) => {
    const scale = parseObject(change(scaleOf(kind, current)), scaleEnvelope)
    const replicas = valueAt(scale, ['spec', 'replicas']) ?? 0
    if (typeof replicas !== 'number' || !Number.isSafeInteger(replicas) || replicas < 0)
      throw badRequest(`spec.replicas: Invalid value: ${String(replicas)}: must be a whole number, 0 or more`)
    const { resourceVersion, uid } = scale.metadata
    const changed = withValueAt(current, kind.scale?.specReplicas ?? [], replicas)
    const metadata = {
      ...current.metadata,
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
      ...(uid === undefined ? {} : { uid }),
    }
    return { ...changed, metadata }
  })
  return jsonAnswer(stringifyJson(scaleOf(kind, record.object)))
}

function scaleChange(kind: Kind, path: ResourcePath, call: Call): (scale: ApiObject) => unknown {
  if (call.method === 'PUT') {
    const body = parseContent(call.body, call.contentType)
    return () => body
  }
  if (call.method !== 'PATCH') throw methodNotAllowed(call.method)
  const patch = readPatch(call)
  const type = patch.type === 'json' ? 'json' : 'merge'
  const target = { kind: 'Scale', schema: undefined, isCustom: false, nowMs: 0 }
  return (scale) => {
    // Only a version that the patch itself names may make it fail.
    const { resourceVersion: _, ...metadata } = scale.metadata
    const base = { ...scale, metadata }
    return runPatch(kind, path.name, () => applyPatch(type, base, patch.body, target))
  }
}

function scaleOf(kind: Kind, object: ApiObject): ApiObject {
  const { name = '', namespace, uid = '', resourceVersion = '', creationTimestamp = '' } = object.metadata
  const paths = kind.scale
  const selector = paths?.labelSelector === undefined ? undefined : valueAt(object, paths.labelSelector)
  const text = isObject(selector) ? selectorText(selector) : selector
  return {
    ...scaleEnvelope,
    metadata: {
      name,
      ...(namespace === undefined ? {} : { namespace }),
      uid,
      resourceVersion,
      creationTimestamp,
    },
    spec: { replicas: valueAt(object, paths?.specReplicas ?? []) ?? 0 },
    status: {
      replicas: valueAt(object, paths?.statusReplicas ?? []) ?? 0,
      ...(typeof text === 'string' && text !== '' ? { selector: text } : {}),
    },
  }
}

// The scheduler's write: only this path sets the node of a pod, and only once.
async function bind(context: ServerContext, kind: Kind, path: ResourcePath, call: Call): Promise<Answer> {
  const body = parseObject(parseContent(call.body, call.contentType), { apiVersion: 'v1', kind: 'Binding' })
  const node = stringAt(objectAt(body, 'target'), 'name') ?? ''
  if (node === '') throw badRequest('target.name: Required value: name the node to bind the pod to')
  const { uid } = body.metadata
  await updateObject(context, { kind, path }, call, (pod) => {
    const bound = stringAt(objectAt(pod, 'spec'), 'nodeName') ?? ''
    if (bound !== '')
      throw conflict(subjectOf(kind, path.name), `pod ${path.name} is already assigned to node "${bound}"`)
    if (pod.metadata.deletionTimestamp !== undefined)
      throw conflict(
        subjectOf(kind, path.name),
        `pod ${path.name} is being deleted, cannot be assigned to a host`,
      )
    return scheduled(context, pod, node, uid)
  })
  return jsonAnswer(stringifyJson(successStatus(undefined, created)), created)
}

function scheduled(context: ServerContext, pod: ApiObject, node: string, uid: string | undefined): ApiObject {
  const others = listAt(objectAt(pod, 'status'), 'conditions').filter(
    (item) => stringAt(item, 'type') !== 'PodScheduled',
  )
  const condition = {
    lastProbeTime: null,
    lastTransitionTime: nowIso(context),
    status: 'True',
    type: 'PodScheduled',
  }
  const { resourceVersion: _, ...metadata } = pod.metadata
  return {
    ...pod,
    metadata: { ...metadata, ...(uid === undefined ? {} : { uid }) },
    spec: { ...objectAt(pod, 'spec'), nodeName: node },
    status: { ...objectAt(pod, 'status'), conditions: [...others, condition] },
  }
}

async function evict(context: ServerContext, kind: Kind, path: ResourcePath, call: Call): Promise<Answer> {
  const body = parseObject(parseContent(call.body, call.contentType), {
    apiVersion: 'policy/v1',
    kind: 'Eviction',
  })
  const options = ownValue(body, 'deleteOptions')
  const text = stringifyJson(isObject(options) ? options : {})
  const inner: Call = { ...call, body: Buffer.from(text), contentType: 'application/json' }
  await deleteObject(context, { kind, path: { ...path, subresource: '' } }, call, readDeleteOptions(inner))
  return jsonAnswer(stringifyJson(successStatus(undefined, created)), created)
}

// The namespace controller's last word: with no finalizer left in the spec the namespace goes.
async function finalize(context: ServerContext, kind: Kind, path: ResourcePath, call: Call): Promise<Answer> {
  const body = parseObject(parseContent(call.body, call.contentType), { apiVersion: 'v1', kind: 'Namespace' })
  const current = findRecord(context, kind, path)
  const { resourceVersion = '', uid } = body.metadata
  const isStale = resourceVersion !== '' && resourceVersion !== String(current.version)
  if (isStale || (uid !== undefined && uid !== current.object.metadata.uid))
    throw conflict(subjectOf(kind, path.name))
  const finalizers = listAt(objectAt(body, 'spec'), 'finalizers')
  const next = { ...current.object, spec: { finalizers } }
  const record = writeFinal(context, kind, current, next)
  await context.store.durable(record.version)
  return jsonAnswer(record.text)
}

function writeFinal(
  context: ServerContext,
  kind: Kind,
  current: StoredRecord,
  next: ApiObject,
): StoredRecord {
  const resource = resourceKey(kind)
  const record = isReleased(kind, next)
    ? context.store.remove(resource, current.key, current.version)
    : context.store.put(resource, next, current.version)
  if (record === undefined) throw notFound(subjectOf(kind, current.name))
  return record
}
