import { createHash } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import { isAlive, type Pod, resources, type SpiderEndpoint, spiderFinalizer } from '../../api/index.ts'
import type { Logger } from '../../base/index.ts'
import { ApiError, type KubeApi, type ObjectRef } from '../../kube/index.ts'
import type { Ledger, OwnedAddress } from '../../ledger/index.ts'
import { type EndpointOwner, planCurrent, planEndpoint } from './plan-endpoint.ts'

/** Endpoints whose content is remembered, to save reads and repeated writes; some 150 bytes each. */
const maxRemembered = 200_000

export interface EndpointViewPorts {
  readonly api: KubeApi
  readonly ledger: Pick<Ledger, 'ofPod' | 'all'>
  readonly logger: Logger
  /** From the cache: it decides the owner reference only. */
  findPod(ref: ObjectRef): Pod | undefined
  findOwner(pod: Pod, signal: AbortSignal): Promise<EndpointOwner>
}

/** Keeps SpiderEndpoint objects equal to what the ledger says. Nothing reads them to decide. */
export class EndpointView {
  readonly #ports: EndpointViewPorts
  /** What an endpoint shows, as we wrote or read it last, by `namespace/name`; see `markOf`. */
  readonly #written = new Map<string, number>()

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
    const found = this.#ports.findPod(ref)
    const pod = found?.metadata.uid === held[0]?.entry.podUid ? found : undefined
    const mark = markOf(planCurrent(held), pod !== undefined)
    const written = this.#written.get(podKey)
    if (written === mark || written === markOf(planCurrent(held), true)) return
    const owner = pod === undefined ? ownerOfEntry(held) : await this.#ports.findOwner(pod, signal)
    await this.#write(ref, planEndpoint(held, owner, pod), signal)
    this.#remember(held[0]?.entry.pod ?? podKey, mark)
  }

  /**
   * Reads all endpoints once and compares them with the ledger: a new leader repeats what an earlier one left undone, and
   * nothing else.
   *
   * @returns keys to reconcile: pods whose endpoint is missing or shows something else, and endpoints that show addresses
   *   nobody holds, unless their pod lives: those may be of addresses that another allocator gave
   */
  async sweep(signal: AbortSignal): Promise<readonly string[]> {
    const { api, ledger } = this.#ports
    const unheld = new Map<string, string>() // key, uid of its pod
    const right = new Set<string>()
    const keep = (endpoint: SpiderEndpoint): SpiderEndpoint => {
      const { namespace = '', name, finalizers = [] } = endpoint.metadata
      const key = `${namespace}/${name}`
      const held = newestUid(ledger.ofPod(key))
      const mark = markIfRight(held, endpoint)
      if (mark !== undefined) {
        right.add(key)
        this.#remember(held[0]?.entry.pod ?? key, mark)
      } else if (held.length === 0 && finalizers.includes(spiderFinalizer)) {
        unheld.set(key, endpoint.status?.current?.uid ?? '')
      }
      return { metadata: { name }, status: noStatus }
    }
    await api.listAll<SpiderEndpoint>(resources.endpoint, { keep }, signal)
    const keys = new Set<string>()
    for (const [key, uid] of unheld) {
      const [namespace = '', name = ''] = key.split('/')
      const pod = await api.get<Pod>(resources.pod, { namespace, name }, signal)
      if (pod === undefined || pod.metadata.uid !== uid || !isAlive(pod)) keys.add(key)
    }
    for (const { entry } of ledger.all()) if (!right.has(entry.pod)) keys.add(entry.pod)
    for (const key of keys) this.#written.delete(key)
    return [...keys]
  }

  #remember(podKey: string, mark: number): void {
    this.#written.delete(podKey)
    this.#written.set(podKey, mark)
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
    const { ownerReferences = [] } = wanted.metadata
    const isOwned = ownerReferences.every(({ uid }) =>
      existing.metadata.ownerReferences?.some((reference) => reference.uid === uid),
    )
    if (isFinal && isOwned && isDeepStrictEqual(existing.status, wanted.status)) return
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

const noStatus: SpiderEndpoint['status'] = {
  current: { uid: '', node: '', ips: [] },
  ownerControllerType: '',
  ownerControllerName: '',
}

/**
 * 48 bits of a hash of what the endpoint shows, and one bit for its owner: a pod that the cache does not have yet is not
 * known to be the owner, and the endpoint is written again when it is.
 */
function markOf(current: SpiderEndpoint['status']['current'], isOwnerKnown: boolean): number {
  const hash = createHash('sha1').update(JSON.stringify(current)).digest().readUIntBE(0, 6)
  return hash * 2 + Number(isOwnerKnown)
}

/** The mark of an endpoint that shows what is held; undefined when it does not. */
function markIfRight(held: readonly OwnedAddress[], endpoint: SpiderEndpoint): number | undefined {
  const first = held[0]?.entry
  const { finalizers = [], ownerReferences = [], deletionTimestamp } = endpoint.metadata
  if (first === undefined || deletionTimestamp !== undefined) return undefined
  const current = planCurrent(held)
  if (!finalizers.includes(spiderFinalizer) || !isDeepStrictEqual(endpoint.status?.current, current)) {
    return undefined
  }
  return markOf(current, first.owner.kind === 'sticky' || ownerReferences.length > 0)
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
