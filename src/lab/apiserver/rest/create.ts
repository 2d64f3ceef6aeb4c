import { randomInt, randomUUID } from 'node:crypto'
import { nowIso, type ServerContext } from '../context.ts'
import type { ResourcePath } from '../http/request-path.ts'
import { apiVersionOf, type Kind, resourceKey, subjectOf } from '../kinds/kind.ts'
import type { ApiObject, Meta } from '../object.ts'
import { parseObject } from '../object.ts'
import { requiredField } from '../schema/failure.ts'
import { objectAt, withKey } from '../schema/record.ts'
import { alreadyExists, badRequest, forbiddenStatus, notFound, StatusError } from '../status.ts'
import type { StoredRecord } from '../store/record.ts'
import { callWebhooks } from './admission.ts'
import type { Call, Target } from './call.ts'
import {
  hasStatus,
  invalidOf,
  refuseInvalid,
  refuseLarge,
  reportUnknownFields,
  toStored,
  unsaved,
} from './finish.ts'
import { isDryRun } from './options.ts'

const suffixCharacters = 'bcdfghjklmnpqrstvwxz2456789'
const suffixLength = 5
const maxNameAttempts = 8
const maxGeneratedBase = 63 - suffixLength

/** Stores a new object and waits until it is on disk. @throws {StatusError} */
export async function createObject(
  context: ServerContext,
  { kind, path }: Target,
  call: Call,
  body: unknown,
): Promise<StoredRecord> {
  const expected = { apiVersion: apiVersionOf(kind.group, path.version), kind: kind.kind }
  const parsed = inNamespace(parseObject(body, expected), kind, path)
  refuseNamespace(context, kind, path.namespace)
  if (parsed.metadata.resourceVersion !== undefined && parsed.metadata.resourceVersion !== '')
    throw badRequest('resourceVersion should not be set on objects to be created')
  reportUnknownFields(kind, path.version, parsed, call)
  const dryRun = isDryRun(call.query)
  const base = parsed.metadata.name ?? ''
  const generated = base === '' ? parsed.metadata.generateName : undefined
  if (base === '' && (generated === undefined || generated === ''))
    throw invalidOf(kind, parsed, [requiredField('metadata.name', 'name or generateName is required')])
  for (let attempt = 1; ; attempt++) {
    const name = generated === undefined ? base : generateName(generated)
    const object = await admitted(context, call, {
      kind,
      path,
      object: withNewMeta(parsed, kind, name, context),
    })
    const record = dryRun ? dryRecord(context, kind, object) : put(context, kind, object)
    if (record !== undefined) {
      await context.store.durable(dryRun ? 0 : record.version)
      return record
    }
    if (generated === undefined || attempt === maxNameAttempts) throw alreadyExists(subjectOf(kind, name))
  }
}

function put(context: ServerContext, kind: Kind, object: ApiObject): StoredRecord | undefined {
  // Webhooks took their time: the namespace may be going by now.
  refuseNamespace(context, kind, object.metadata.namespace ?? '')
  return context.store.put(resourceKey(kind), toStored(kind, object), 0)
}

function dryRecord(context: ServerContext, kind: Kind, object: ApiObject): StoredRecord | undefined {
  const { namespace = '', name = '' } = object.metadata
  const key = namespace === '' ? name : `${namespace}/${name}`
  if (context.store.get(resourceKey(kind), key) !== undefined) return undefined
  return unsaved(kind, toStored(kind, object), context.store.head)
}

async function admitted(
  context: ServerContext,
  call: Call,
  { kind, path, object }: { kind: Kind; path: ResourcePath; object: ApiObject },
): Promise<ApiObject> {
  const now = nowIso(context)
  const prepared = kind.prepare(object, undefined, now)
  const request = {
    operation: 'CREATE',
    kind,
    path,
    oldObject: undefined,
    dryRun: isDryRun(call.query),
  } as const
  const mutated = await callWebhooks(context, call, 'mutating', { ...request, object: prepared })
  const final =
    mutated === undefined || mutated === prepared ? prepared : kind.prepare(mutated, undefined, now)
  refuseInvalid(kind, final, undefined)
  refuseLarge(kind, final)
  await callWebhooks(context, call, 'validating', { ...request, object: final })
  return final
}

function inNamespace(object: ApiObject, kind: Kind, path: ResourcePath): ApiObject {
  const { namespace, ...metadata } = object.metadata
  if (!kind.namespaced) return { ...object, metadata }
  if (path.namespace === '')
    throw badRequest(
      `an empty namespace may not be set during creation: post to namespaces/NAME/${kind.plural}`,
    )
  if (namespace !== undefined && namespace !== '' && namespace !== path.namespace) {
    throw badRequest(
      `the namespace of the provided object does not match the namespace sent on the request (${JSON.stringify(namespace)}, ${JSON.stringify(path.namespace)})`,
    )
  }
  return { ...object, metadata: { ...metadata, namespace: path.namespace } }
}

/** @throws {StatusError} 404 for a missing namespace, 403 for one that is going */
export function refuseNamespace(context: ServerContext, kind: Kind, namespace: string): void {
  if (!kind.namespaced) return
  const record = context.store.get('/namespaces', namespace)
  if (record === undefined) throw notFound({ group: '', kind: 'namespaces', name: namespace })
  if (record.object.metadata.deletionTimestamp === undefined) return
  const why = `unable to create new content in namespace ${namespace} because it is being terminated`
  const causes = [
    {
      reason: 'NamespaceTerminating',
      message: `namespace ${namespace} is being terminated`,
      field: 'metadata.namespace',
    },
  ]
  throw forbiddenStatus(subjectOf(kind), why, causes)
}

function withNewMeta(object: ApiObject, kind: Kind, name: string, context: ServerContext): ApiObject {
  const {
    deletionTimestamp: _t,
    deletionGracePeriodSeconds: _g,
    resourceVersion: _v,
    generation: _n,
    ...given
  } = object.metadata
  const metadata: Meta = {
    ...given,
    name,
    uid: randomUUID(),
    creationTimestamp: nowIso(context),
    ...(kind.hasGeneration ? { generation: 1 } : {}),
  }
  const version = object.apiVersion.slice(kind.group === '' ? 0 : kind.group.length + 1)
  const keepsStatus = kind.statusOnCreate || !hasStatus(kind, version)
  const { apiVersion, kind: kindName } = object
  const rest =
    keepsStatus || objectAt(object, 'status') === undefined ? object : withKey(object, 'status', undefined)
  return { ...rest, apiVersion, kind: kindName, metadata }
}

function generateName(base: string): string {
  let suffix = ''
  while (suffix.length < suffixLength) suffix += suffixCharacters[randomInt(suffixCharacters.length)] ?? ''
  return `${base.slice(0, maxGeneratedBase)}${suffix}`
}

/** Creation while the definition of the kind goes away. */
export function refuseTerminatingCrd(context: ServerContext, kind: Kind): void {
  if (!kind.isCustom) return
  const crd = context.store.get(
    'apiextensions.k8s.io/customresourcedefinitions',
    `${kind.plural}.${kind.group}`,
  )
  if (crd?.object.metadata.deletionTimestamp === undefined) return
  const message = 'create not allowed while custom resource definition is terminating'
  throw new StatusError(405, 'MethodNotAllowed', message, { subject: subjectOf(kind) })
}
