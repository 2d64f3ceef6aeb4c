import type { KubeObject, Pod } from '../../api/index.ts'
import type { KubeCache } from '../../kube/index.ts'

/** How long a write of ours is believed before the cache has shown it; a cache that is later has lost it. */
const believedMs = 60_000

/**
 * The pods by controller, as the cache has them plus our own writes that it has not shown yet.
 * Without the latter a controller that runs again before its watch catches up would create or delete twice.
 */
export class PodSet {
  readonly #cache: KubeCache<Pod>
  readonly #byOwner = new Map<string, Map<string, Pod>>()
  readonly #created = new Map<string, { readonly pod: Pod; readonly untilMs: number }>()
  readonly #deleted = new Map<string, number>()

  constructor(cache: KubeCache<Pod>) {
    this.#cache = cache
    cache.onChange((old, now) => {
      for (const pod of [old, now]) if (pod !== undefined) this.#forget(pod)
      if (old !== undefined) this.#unlink(old)
      if (now !== undefined) this.#link(now)
    })
  }

  /** Pods whose controller has this uid; those being deleted included. */
  ownedBy(uid: string): readonly Pod[] {
    const pods = new Map(this.#byOwner.get(uid))
    const nowMs = Date.now()
    for (const [podUid, { pod, untilMs }] of this.#created) {
      if (untilMs < nowMs) this.#created.delete(podUid)
      else if (controllerUid(pod) === uid && !pods.has(podUid)) pods.set(podUid, pod)
    }
    return [...pods.values()].map((pod) => this.#withDeletion(pod, nowMs))
  }

  /** All pods of the cache. */
  values(): Iterable<Pod> {
    return this.#cache.values()
  }

  noteCreated(pod: Pod): void {
    this.#created.set(pod.metadata.uid ?? '', { pod, untilMs: Date.now() + believedMs })
  }

  noteDeleted(pod: Pod): void {
    this.#deleted.set(pod.metadata.uid ?? '', Date.now() + believedMs)
  }

  #withDeletion(pod: Pod, nowMs: number): Pod {
    const untilMs = this.#deleted.get(pod.metadata.uid ?? '')
    if (untilMs === undefined || pod.metadata.deletionTimestamp !== undefined) return pod
    if (untilMs < nowMs) {
      this.#deleted.delete(pod.metadata.uid ?? '')
      return pod
    }
    return { ...pod, metadata: { ...pod.metadata, deletionTimestamp: new Date(nowMs).toISOString() } }
  }

  #forget(pod: Pod): void {
    const uid = pod.metadata.uid ?? ''
    this.#created.delete(uid)
    if (pod.metadata.deletionTimestamp !== undefined) this.#deleted.delete(uid)
  }

  #link(pod: Pod): void {
    const owner = controllerUid(pod)
    if (owner === undefined) return
    const pods = this.#byOwner.get(owner) ?? new Map<string, Pod>()
    pods.set(pod.metadata.uid ?? '', pod)
    this.#byOwner.set(owner, pods)
  }

  #unlink(pod: Pod): void {
    const owner = controllerUid(pod)
    if (owner === undefined) return
    const pods = this.#byOwner.get(owner)
    pods?.delete(pod.metadata.uid ?? '')
    if (pods?.size === 0) this.#byOwner.delete(owner)
    this.#deleted.delete(pod.metadata.uid ?? '')
  }
}

/** The uid of the owner reference that says `controller: true`. */
export function controllerUid(object: KubeObject): string | undefined {
  return object.metadata.ownerReferences?.find(({ controller }) => controller === true)?.uid
}
