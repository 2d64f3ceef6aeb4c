import type { KubeObject, OwnerReference, Resource } from '../../../api/index.ts'
import { unreachable } from '../../../base/index.ts'
import { createQueue, type Queue, type Requeue } from '../../../kube/index.ts'
import { forEach, isGone } from '../act.ts'
import { isSameValue } from '../model/names.ts'
import { refOf, type World } from '../world.ts'
import type { Catalog } from './catalog.ts'
import { type GraphNode, OwnerGraph } from './owner-graph.ts'
import {
  blockersOf,
  type CollectStep,
  foregroundFinalizer,
  type OwnerState,
  orphanFinalizer,
  planCollection,
} from './plan-collection.ts'

const collectionsAtOnce = 8
const collectBudgetMs = 60_000
// An object may be seen before its owner, which another watch brings.
const settleMs = 1500
const foregroundPollMs = 2000
const unknownRetryMs = 60_000

/** Deletes what has lost its owners, and carries out foreground and orphaning deletion. */
export class OwnerCollector {
  readonly #world: World
  readonly #graph = new OwnerGraph()
  readonly #queue: Queue<string>
  #catalog: Catalog | undefined

  constructor(world: World) {
    this.#world = world
    const handle = (uid: string, signal: AbortSignal) => this.#collect(uid, signal)
    const options = { handle, concurrency: collectionsAtOnce, deadlineMs: collectBudgetMs }
    this.#queue = createQueue<string>(options, world.logger.with({ controller: 'owner-collector' }))
  }

  /** Begins to act; before, it only takes in what the caches say. */
  start(catalog: Catalog): void {
    this.#catalog = catalog
  }

  see(resource: Resource, old: KubeObject | undefined, now: KubeObject | undefined): void {
    const uid = (now ?? old)?.metadata.uid
    if (uid === undefined) return
    if (now === undefined) {
      this.#graph.remove(uid)
      for (const { object } of this.#graph.dependentsOf(uid)) this.#queue.add(object.metadata.uid ?? '')
      // Owners that wait for their dependents have one less.
      for (const owner of old?.metadata.ownerReferences ?? []) this.#wakeIfGoing(owner.uid)
      return
    }
    this.#graph.put(resource, now)
    if (isInDeletion(now)) this.#queue.add(uid)
    else if (!isSameValue(old?.metadata.ownerReferences, now.metadata.ownerReferences)) {
      this.#queue.addAfter(uid, settleMs)
      for (const owner of old?.metadata.ownerReferences ?? []) this.#wakeIfGoing(owner.uid)
    }
  }

  #wakeIfGoing(uid: string): void {
    const owner = this.#graph.find(uid)
    if (owner !== undefined && isInDeletion(owner.object)) this.#queue.add(uid)
  }

  async #collect(uid: string, signal: AbortSignal): Promise<Requeue> {
    const node = this.#graph.find(uid)
    if (this.#catalog === undefined) return { afterMs: settleMs }
    if (node === undefined) return 'settled'
    if (isInDeletion(node.object)) return this.#finishDeletion(node.resource, uid, signal)
    return this.#collectDependent(this.#catalog, node.resource, uid, signal)
  }

  async #collectDependent(
    catalog: Catalog,
    resource: Resource,
    uid: string,
    signal: AbortSignal,
  ): Promise<Requeue> {
    const cached = this.#graph.find(uid)?.object
    const owners = cached?.metadata.ownerReferences ?? []
    if (cached === undefined || owners.every((owner) => this.#stateInGraph(owner.uid) === 'there')) {
      return 'settled'
    }
    // What follows may delete: both the object and owners that the caches do not have are read uncached.
    const object = await this.#world.api.get(resource, refOf(cached), signal)
    if (object === undefined || object.metadata.uid !== uid) return 'settled'
    const states = new Map<string, OwnerState>()
    for (const owner of object.metadata.ownerReferences ?? []) {
      states.set(owner.uid, await this.#readOwner(catalog, { resource, object }, owner, signal))
    }
    const hasDependents = this.#graph.dependentsOf(uid).length > 0
    const step = planCollection(object, (owner) => states.get(owner.uid) ?? 'unknown', hasDependents)
    await this.#apply(resource, object, step, signal)
    return [...states.values()].includes('unknown') ? { afterMs: unknownRetryMs } : 'settled'
  }

  #stateInGraph(uid: string): OwnerState | undefined {
    const owner = this.#graph.find(uid)
    if (owner === undefined) return undefined
    return isForeground(owner.object) ? 'going' : 'there'
  }

  async #readOwner(
    catalog: Catalog,
    { resource, object }: GraphNode,
    owner: OwnerReference,
    signal: AbortSignal,
  ): Promise<OwnerState> {
    const known = this.#stateInGraph(owner.uid)
    if (known !== undefined) return known
    const kind = catalog.findKind(owner.apiVersion, owner.kind)
    // No such kind, or an owner inside a namespace for an object outside: nobody can say that it is gone.
    if (kind === undefined || (kind.namespaced && !resource.namespaced)) return 'unknown'
    const { namespace } = object.metadata
    const ref =
      kind.namespaced && namespace !== undefined ? { name: owner.name, namespace } : { name: owner.name }
    const there = await this.#world.api.get(kind, ref, signal)
    if (there === undefined || there.metadata.uid !== owner.uid) return 'absent'
    return isForeground(there) ? 'going' : 'there'
  }

  async #apply(
    resource: Resource,
    object: KubeObject,
    step: CollectStep,
    signal: AbortSignal,
  ): Promise<void> {
    const { uid, resourceVersion } = object.metadata
    const asRead = {
      ...(uid === undefined ? {} : { uid }),
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
    }
    switch (step.kind) {
      case 'keep':
        return
      case 'unlink': {
        const body = { metadata: { ...asRead, ownerReferences: step.keep } }
        await this.#world.api.patch(resource, refOf(object), { type: 'merge', body }, signal)
        return
      }
      case 'delete': {
        const options = { ...asRead, propagation: step.propagation }
        await this.#world.api.delete(resource, refOf(object), options, signal)
        return
      }
      default:
        return unreachable(step)
    }
  }

  /** An owner that is being deleted, and keeps a finalizer of ours until its dependents are gone or let go. */
  async #finishDeletion(resource: Resource, uid: string, signal: AbortSignal): Promise<Requeue> {
    const cached = this.#graph.find(uid)?.object
    if (cached === undefined) return 'settled'
    const object = await this.#world.api.get(resource, refOf(cached), signal)
    if (object === undefined || object.metadata.uid !== uid || !isInDeletion(object)) return 'settled'
    const dependents = this.#graph.dependentsOf(uid)
    if (object.metadata.finalizers?.includes(orphanFinalizer) === true) {
      await forEach(dependents, (dependent) => this.#letGo(dependent, uid, signal))
      await this.#dropFinalizer(resource, object, orphanFinalizer, signal)
      return 'settled'
    }
    const blockers = blockersOf(
      object,
      dependents.map((dependent) => dependent.object),
    )
    if (blockers.length === 0) {
      await this.#dropFinalizer(resource, object, foregroundFinalizer, signal)
      return 'settled'
    }
    for (const dependent of dependents) this.#queue.add(dependent.object.metadata.uid ?? '')
    return { afterMs: foregroundPollMs }
  }

  async #letGo(
    { resource, object }: { readonly resource: Resource; readonly object: KubeObject },
    ownerUid: string,
    signal: AbortSignal,
  ): Promise<void> {
    const current = await this.#world.api.get(resource, refOf(object), signal)
    if (current === undefined || current.metadata.uid !== object.metadata.uid) return
    const { uid, resourceVersion, ownerReferences = [] } = current.metadata
    const left = ownerReferences.filter((owner) => owner.uid !== ownerUid)
    const body = { metadata: { uid, resourceVersion, ownerReferences: left.length === 0 ? null : left } }
    await this.#world.api.patch(resource, refOf(object), { type: 'merge', body }, signal)
  }

  async #dropFinalizer(
    resource: Resource,
    object: KubeObject,
    finalizer: string,
    signal: AbortSignal,
  ): Promise<void> {
    const { uid, resourceVersion, finalizers = [] } = object.metadata
    const left = finalizers.filter((one) => one !== finalizer)
    const body = { metadata: { uid, resourceVersion, finalizers: left.length === 0 ? null : left } }
    try {
      await this.#world.api.patch(resource, refOf(object), { type: 'merge', body }, signal)
    } catch (error) {
      if (!isGone(error)) throw error
      this.#queue.add(uid ?? '')
    }
  }

  async close(signal: AbortSignal): Promise<void> {
    await this.#queue.close(signal)
  }
}

function isForeground({ metadata }: KubeObject): boolean {
  return (
    metadata.deletionTimestamp !== undefined && metadata.finalizers?.includes(foregroundFinalizer) === true
  )
}

function isInDeletion(object: KubeObject): boolean {
  const { deletionTimestamp, finalizers = [] } = object.metadata
  return isForeground(object) || (deletionTimestamp !== undefined && finalizers.includes(orphanFinalizer))
}
