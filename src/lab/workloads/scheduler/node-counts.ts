import { controllerOf } from '../../../api/index.ts'
import type { WorkloadPod } from '../model/kinds.ts'
import { isFinished } from '../model/pod-facts.ts'

interface Place {
  readonly node: string
  readonly owner: string
}

/** How many pods are on each node, by controller too; bindings under way among them. */
export class NodeCounts {
  readonly #places = new Map<string, Place>()
  readonly #perNode = new Map<string, number>()
  readonly #perOwner = new Map<string, Map<string, number>>()

  podCount(node: string): number {
    return this.#perNode.get(node) ?? 0
  }

  siblingCount(pod: WorkloadPod, node: string): number {
    return this.#perOwner.get(ownerOf(pod))?.get(node) ?? 0
  }

  /** Takes in what the cache says of a pod; an assumed place stays until the pod shows it or is gone. */
  see(old: WorkloadPod | undefined, now: WorkloadPod | undefined): void {
    const pod = now ?? old
    const uid = pod?.metadata.uid
    if (pod === undefined || uid === undefined) return
    if (now === undefined || isFinished(now)) this.forget(uid)
    else if (now.spec?.nodeName !== undefined && now.spec.nodeName !== '') this.assume(now, now.spec.nodeName)
  }

  assume(pod: WorkloadPod, node: string): void {
    const { uid } = pod.metadata
    if (uid === undefined) return
    this.forget(uid)
    const owner = ownerOf(pod)
    this.#places.set(uid, { node, owner })
    this.#add({ node, owner }, 1)
  }

  forget(uid: string): void {
    const place = this.#places.get(uid)
    if (place === undefined) return
    this.#places.delete(uid)
    this.#add(place, -1)
  }

  #add({ node, owner }: Place, by: number): void {
    this.#perNode.set(node, (this.#perNode.get(node) ?? 0) + by)
    const nodes = this.#perOwner.get(owner) ?? new Map<string, number>()
    const count = (nodes.get(node) ?? 0) + by
    if (count > 0) nodes.set(node, count)
    else nodes.delete(node)
    if (nodes.size > 0) this.#perOwner.set(owner, nodes)
    else this.#perOwner.delete(owner)
  }
}

const ownerOf = (pod: WorkloadPod): string => controllerOf(pod.metadata)?.uid ?? pod.metadata.uid ?? ''
