import type { Pod, TopOwner, Workload } from '../../api/index.ts'
import { ClusterWorld, workloadResource } from '../cluster-world.ts'

/** A workload that need not exist. */
export interface DryWorkload extends Workload {
  readonly apiVersion: string
  readonly kind: string
}

/** The cluster as the allocator sees it, with one pod and its workloads that need not exist. */
export class DryWorld extends ClusterWorld {
  pod: Pod | undefined
  /** From below. */
  readonly #workloads: DryWorkload[] = []

  /** What is asked about is read, or assumed. */
  override knownPod(): undefined {
    return undefined
  }

  override readPod(namespace: string, name: string, signal: AbortSignal): Promise<Pod | undefined> {
    const { metadata } = this.pod ?? {}
    const isAsked = metadata?.namespace === namespace && metadata.name === name
    return isAsked ? Promise.resolve(this.pod) : super.readPod(namespace, name, signal)
  }

  override readWorkload(owner: TopOwner, signal: AbortSignal): Promise<Workload | undefined> {
    const found = this.#workloads.find((one) => isSame(one, owner))
    // What the leader cannot read proves nothing to it.
    return found !== undefined && workloadResource(owner) !== undefined
      ? Promise.resolve(found)
      : super.readWorkload(owner, signal)
  }

  /**
   * From now on the workload is there as it is given, and is the one of that name if there is one.
   * @returns its uid
   */
  async assume(workload: DryWorkload, signal: AbortSignal): Promise<string> {
    const { apiVersion, kind, metadata } = workload
    const { namespace = '', name } = metadata
    const live = await super.readWorkload({ apiVersion, kind, namespace, name, uid: '' }, signal)
    // Of a uid that no record has: the allocator takes one that was deleted for another, too.
    const { uid = `dry-run-${kind}`, ownerReferences } = live?.metadata ?? {}
    const above = metadata.ownerReferences ?? ownerReferences
    const owners = above === undefined ? {} : { ownerReferences: above }
    this.#workloads.push({ ...workload, metadata: { ...metadata, uid, ...owners } })
    return uid
  }
}

function isSame({ apiVersion, kind, metadata }: DryWorkload, owner: TopOwner): boolean {
  return (
    apiVersion === owner.apiVersion &&
    kind === owner.kind &&
    metadata.namespace === owner.namespace &&
    metadata.name === owner.name
  )
}
