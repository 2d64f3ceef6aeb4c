import { createHash } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { isAlive, type Pod, resources, type SpiderEndpoint, spiderFinalizer } from '../../api/index.ts'
import type { Logger } from '../../base/index.ts'
import { ApiError, type KubeApi, type ObjectRef } from '../../kube/index.ts'
import type { Ledger, OwnedAddress } from '../../ledger/index.ts'
import { type EndpointOwner, planEndpoint } from './plan-endpoint.ts'

/** Endpoints whose last written content is remembered, to save reads and repeated writes. */
const maxRemembered = 200_000

export interface EndpointViewPorts {
  readonly api: KubeApi
  readonly ledger: Pick<Ledger, 'ofPod'>
  readonly logger: Logger
  /** From the cache: it decides the owner reference only. */
  findPod(ref: ObjectRef): Pod | undefined
  findOwner(pod: Pod, signal: AbortSignal): Promise<EndpointOwner>
}

/** Keeps SpiderEndpoint objects equal to what the ledger says. Nothing reads them to decide. */
export class EndpointView {
  readonly #ports: EndpointViewPorts
  /** Hash of the endpoint as we wrote it last, by `namespace/name`. */
  readonly #written = new Map<string, string>()

  constructor(ports: EndpointViewPorts) {
    this.#ports = ports
  }

  /** Makes the endpoint of one pod right. Safe to repeat. */
  async reconcile(podKey: string, signal: AbortSignal): Promise<void> {
    const held = newestUid(this.#ports.ledger.ofPod(podKey))
    const [namespace = '', name = ''] = podKey.split('/')
    const ref = { namespace, name }
    if (held.length === 0) {
      await this.#clear(podKey, ref, signal)
      return
    }
    const pod = this.#ports.findPod(ref)
    const isSamePod = pod?.metadata.uid === held[0]?.entry.podUid
    const owner =
      pod === undefined || !isSamePod ? ownerOfEntry(held) : await this.#ports.findOwner(pod, signal)
    const wanted = planEndpoint(held, owner, isSamePod ? pod : undefined)
    const hash = createHash('sha1').update(JSON.stringify(wanted.status)).digest('base64')
    if (this.#written.get(podKey) === hash) return
    await this.#write(ref, wanted, signal)
    this.#remember(podKey, hash)
  }

  /**
   * Finds endpoints that show addresses nobody holds: a leader that crashed between freeing and clearing leaves them. Those of a
   * living pod stay: they may be of addresses that another allocator gave.
   *
   * @returns keys to reconcile
   */
  async findOrphans(signal: AbortSignal): Promise<readonly string[]> {
    const { api, ledger } = this.#ports
    const orphans: string[] = []
    const { items } = await api.listAll<SpiderEndpoint>(resources.endpoint, {}, signal)
    for (const { metadata, status } of items) {
      const { namespace = '', name, finalizers = [] } = metadata
      const key = `${namespace}/${name}`
      if (!finalizers.includes(spiderFinalizer) || ledger.ofPod(key).length > 0) continue
      const pod = await api.get<Pod>(resources.pod, { namespace, name }, signal)
      const isLiving = pod !== undefined && pod.metadata.uid === status.current.uid && isAlive(pod)
      if (!isLiving) orphans.push(key)
    }
    return orphans
  }

  #remember(podKey: string, hash: string): void {
    this.#written.delete(podKey)
    this.#written.set(podKey, hash)
    const oldest = this.#written.keys().next()
    if (this.#written.size > maxRemembered && oldest.done !== true) this.#written.delete(oldest.value)
  }

  async #write(ref: ObjectRef, wanted: SpiderEndpoint, signal: AbortSignal): Promise<void> {
    const { api } = this.#ports
    const isKnown = this.#written.has(`${ref.namespace}/${ref.name}`)
    if (!isKnown) {
      try {
        await api.create(resources.endpoint, wanted, signal)
        return
      } catch (error) {
        if (!(error instanceof ApiError) || error.status !== 409) throw error
      }
    }
    const existing = await api.get<SpiderEndpoint>(resources.endpoint, ref, signal)
    if (existing === undefined || existing.metadata.deletionTimestamp !== undefined) {
      if (existing !== undefined) await this.#removeFinalizer(ref, existing, signal)
      await api.create(resources.endpoint, wanted, signal)
      return
    }
    const { finalizers = [], resourceVersion } = existing.metadata
    const isFinal = finalizers.includes(spiderFinalizer)
    if (isFinal && isDeepStrictEqual(existing.status, wanted.status)) return
    const body = {
      metadata: {
        resourceVersion,
        ownerReferences: wanted.metadata.ownerReferences ?? null,
        ...(isFinal ? {} : { finalizers: [...finalizers, spiderFinalizer] }),
      },
      status: wanted.status,
    }
    await api.patch(resources.endpoint, ref, { type: 'merge', body }, signal)
  }

  /** Nothing is held any more: the endpoint must neither block its pod's deletion nor show addresses of others. */
  async #clear(podKey: string, ref: ObjectRef, signal: AbortSignal): Promise<void> {
    const { api } = this.#ports
    const existing = await api.get<SpiderEndpoint>(resources.endpoint, ref, signal)
    this.#written.delete(podKey)
    if (existing === undefined) return
    await this.#removeFinalizer(ref, existing, signal)
    const isOwned = (existing.metadata.ownerReferences ?? []).length > 0
    const { uid } = existing.metadata
    // Kubernetes' collector removes an endpoint with its pod; one without an owner, or whose pod went before, is ours.
    if (!isOwned || this.#ports.findPod(ref) === undefined) {
      await api.delete(resources.endpoint, ref, uid === undefined ? {} : { uid }, signal)
    }
  }

  async #removeFinalizer(ref: ObjectRef, existing: SpiderEndpoint, signal: AbortSignal): Promise<void> {
    const finalizers = (existing.metadata.finalizers ?? []).filter(
      (finalizer) => finalizer !== spiderFinalizer,
    )
    const body = {
      metadata: {
        resourceVersion: existing.metadata.resourceVersion,
        finalizers: finalizers.length === 0 ? null : finalizers,
      },
      status: { current: { ips: [] } },
    }
    try {
      await this.#ports.api.patch(resources.endpoint, ref, { type: 'merge', body }, signal)
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 404) throw error
    }
  }
}

/** A pod and its dead namesake may both hold addresses for a moment: the endpoint shows the younger. */
function newestUid(held: readonly OwnedAddress[]): readonly OwnedAddress[] {
  const newest = held.reduce<OwnedAddress | undefined>(
    (best, address) => (best === undefined || address.entry.since > best.entry.since ? address : best),
    undefined,
  )
  return newest === undefined ? [] : held.filter(({ entry }) => entry.podUid === newest.entry.podUid)
}

function ownerOfEntry(held: readonly OwnedAddress[]): EndpointOwner {
  const entry = held[0]?.entry
  if (entry?.owner.kind === 'sticky') return { kind: entry.owner.ownerKind, name: entry.owner.name }
  return { kind: 'Pod', name: entry?.pod.split('/')[1] ?? '' }
}
