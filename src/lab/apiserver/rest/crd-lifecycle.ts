import { toError } from '../../../base/index.ts'
import { nowIso, type ServerContext } from '../context.ts'
import { crdCleanup } from '../kinds/crd.ts'
import { type Kind, resourceKey } from '../kinds/kind.ts'
import { crdResource } from '../kinds/registry.ts'
import type { ApiObject } from '../object.ts'
import { compileCrd } from '../schema/crd/compile-crd.ts'
import { listAt, objectAt, stringAt } from '../schema/record.ts'
import type { StoredRecord, StoreEvent } from '../store/record.ts'
import { removeOrMark } from './delete.ts'
import { isReleased } from './finish.ts'

/** Serves what CustomResourceDefinitions define, from the moment they are stored, and ends it when they go. */
export function followCrds(context: ServerContext): void {
  for (const record of context.store.list(crdResource)) register(context, record)
  for (const record of context.store.list(crdResource)) cleanUp(context, record)
  context.store.subscribe(crdResource, (event) => onChange(context, event))
}

function onChange(context: ServerContext, event: StoreEvent): void {
  if (event.type === 'DELETED') {
    context.registry.removeCrd(event.record.name)
    return
  }
  const spec = objectAt(event.record.object, 'spec')
  if (event.previous === undefined || spec !== objectAt(event.previous.object, 'spec'))
    register(context, event.record)
  cleanUp(context, event.record)
}

const watched = new WeakMap<ServerContext, Set<string>>()

function register(context: ServerContext, record: StoredRecord): void {
  try {
    const crd = compileCrd(record.object)
    context.registry.addCrd(crd)
    const resource = resourceKey(crd)
    const known = watched.get(context) ?? new Set()
    watched.set(context, known)
    if (known.has(resource)) return
    known.add(resource)
    context.store.subscribe(resource, (event) => {
      if (event.type === 'DELETED') afterInstance(context, crd.name)
    })
  } catch (error) {
    // It was accepted once: only an update of this server can make it unacceptable. The rest must go on.
    context.logger.error('definition is not served', { crd: record.name, err: toError(error) })
  }
}

function afterInstance(context: ServerContext, name: string): void {
  const record = context.store.get(crdResource, name)
  if (record !== undefined) cleanUp(context, record)
}

// A terminating definition takes its objects along, and goes when the last one is gone.
function cleanUp(context: ServerContext, record: StoredRecord): void {
  const { deletionTimestamp, finalizers = [] } = record.object.metadata
  if (deletionTimestamp === undefined || !finalizers.includes(crdCleanup)) return
  const spec = objectAt(record.object, 'spec')
  const resource = `${stringAt(spec, 'group') ?? ''}/${stringAt(objectAt(spec, 'names'), 'plural') ?? ''}`
  const kind = context.registry.findByKey(resource)
  if (kind !== undefined) deleteInstances(context, kind)
  if (context.store.count(resource) > 0) return
  const definitions = context.registry.findByKey(crdResource)
  const current = context.store.get(crdResource, record.name)
  if (definitions === undefined || current === undefined) return
  const rest = (current.object.metadata.finalizers ?? []).filter((name) => name !== crdCleanup)
  const next = terminating(context, {
    ...current.object,
    metadata: { ...current.object.metadata, finalizers: rest },
  })
  if (isReleased(definitions, next)) context.store.remove(crdResource, current.key, current.version)
  else context.store.put(crdResource, next, current.version)
}

function deleteInstances(context: ServerContext, kind: Kind): void {
  const options = {
    uid: undefined,
    resourceVersion: undefined,
    graceSeconds: undefined,
    propagation: undefined,
    dryRun: false,
  } as const
  for (const instance of context.store.list(resourceKey(kind))) {
    if (instance.object.metadata.deletionTimestamp === undefined)
      removeOrMark(context, kind, instance, options)
  }
}

function terminating(context: ServerContext, crd: ApiObject): ApiObject {
  const status = objectAt(crd, 'status')
  const conditions = listAt(status, 'conditions').filter((item) => stringAt(item, 'type') !== 'Terminating')
  const condition = {
    lastTransitionTime: nowIso(context),
    message: 'CustomResource deletion is in progress',
    reason: 'InstanceDeletionInProgress',
    status: 'True',
    type: 'Terminating',
  }
  return { ...crd, status: { ...status, conditions: [...conditions, condition] } }
}
