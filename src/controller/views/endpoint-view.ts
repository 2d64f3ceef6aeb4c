import { createHash } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import {
  claimOfOwner,
  isAlive,
  isMachineEntry,
  type Pod,
  resources,
  type SpiderEndpoint,
  spiderFinalizer,
} from '../../api/index.ts'
import type { Logger } from '../../base/index.ts'
import { ApiError, type KubeApi, type ObjectRef } from '../../kube/index.ts'
import type { Ledger, OwnedAddress } from '../../ledger/index.ts'
import { type EndpointOwner, isOfWorkload, planCurrent, planEndpoint } from './plan-endpoint.ts'
import { endpointDigest, isOurEndpoint } from './view-marks.ts'

/** Endpoints whose content is remembered, to save reads and repeated writes; some 150 bytes each. */
const maxRemembered = 200_000
/** How often an endpoint that others keep from going is looked at. */
const blockedRetryMs = 30_000

/** Endpoints that are written at once when nobody waits for an address. */
export const endpointCalls = 16
/** And beside ADDs: views come after answers, and take a small share of the API server until then. */
const endpointsBesideAdds = 1

export interface EndpointViewPorts {
  readonly api: KubeApi
  readonly ledger: Pick<Ledger, 'ofPod' | 'all' | 'isBusy'>
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
  /** Endpoints that a sweep saw, and that are to be mended: they need not be tried to create. */
  readonly #seen = new Set<string>()

  constructor(ports: EndpointViewPorts) {
    this.#ports = ports
  }

  /** How many to reconcile at once now. */
  get atOnce(): number {
    return this.#ports.ledger.isBusy ? endpointsBesideAdds : endpointCalls
  }

  /**
   * Makes the endpoint of one pod right. Safe to repeat.
   *
   * @returns milliseconds after which to look again, when the endpoint waits for somebody else
   */
  async reconcile(podKey: string, signal: AbortSignal): Promise<number | undefined> {
    const [namespace = '', name = ''] = podKey.split('/')
    const ref = { namespace, name }
    const found = this.#ports.findPod(ref)
    const held = shownOf(this.#ports.ledger.ofPod(podKey), found)
    if (held.length === 0) {
      await this.#clear(podKey, ref, signal)
      return undefined
    }
    const pod = found?.metadata.uid === held[0]?.entry.podUid ? found : undefined
    const mark = markOf(planCurrent(held), pod !== undefined)
    const written = this.#written.get(podKey)
    if (written === mark || written === markOf(planCurrent(held), true)) return undefined
    const owner = pod === undefined ? ownerOfEntry(held) : await this.#ports.findOwner(pod, signal)
    if ((await this.#write(ref, planEndpoint(held, owner, pod), signal)) === 'blocked') return blockedRetryMs
    this.#remember(held[0]?.entry.pod ?? podKey, mark)
    return undefined
  }

  /**
   * Reads all endpoints once and compares them with the ledger: a new leader repeats what an earlier one left undone, and
   * nothing else.
   *
   * @returns keys to reconcile: pods whose endpoint is missing or shows something else, and endpoints that show addresses
   *   nobody holds, unless their pod lives and another allocator wrote them: it may have given those addresses
   */
  async sweep(signal: AbortSignal): Promise<readonly string[]> {
    const { api, ledger } = this.#ports
    // By key, the uid of the pod when another allocator wrote the endpoint.
    const unheld = new Map<string, string | undefined>()
    const right = new Set<string>()
    const keep = (endpoint: SpiderEndpoint): SpiderEndpoint => {
      const { namespace = '', name, finalizers = [], ownerReferences = [] } = endpoint.metadata
      const key = `${namespace}/${name}`
      const held = shownOf(ledger.ofPod(key), this.#ports.findPod({ namespace, name }))
      const mark = markIfRight(held, endpoint)
      if (mark === undefined && held.length > 0 && this.#seen.size < maxRemembered) this.#seen.add(key)
      if (mark !== undefined) {
        right.add(key)
        this.#remember(held[0]?.entry.pod ?? key, mark)
      } else if (
        held.length === 0 &&
        (finalizers.includes(spiderFinalizer) || ownerReferences.length === 0)
      ) {
        // A write of an earlier leader, or one of ours that came late, shows what was freed since.
        unheld.set(key, isOurEndpoint(endpoint) ? undefined : (endpoint.status?.current?.uid ?? ''))
      }
      return { metadata: { name }, status: noStatus }
    }
    await api.listAll<SpiderEndpoint>(resources.endpoint, { keep }, signal)
    const keys = new Set<string>()
    for (const [key, uid] of unheld) {
      const [namespace = '', name = ''] = key.split('/')
      if (uid === undefined) {
        keys.add(key)
        continue
      }
      const pod = await api.get<Pod>(resources.pod, { namespace, name }, signal)
      if (pod === undefined || pod.metadata.uid !== uid || !isAlive(pod)) keys.add(key)
    }
    for (const { entry } of ledger.all()) if (entry.pod !== '' && !right.has(entry.pod)) keys.add(entry.pod)
    for (const key of keys) this.#written.delete(key)
    return [...keys]
  }

  #remember(podKey: string, mark: number): void {
    this.#written.delete(podKey)
    this.#written.set(podKey, mark)
    const oldest = this.#written.keys().next()
    if (this.#written.size > maxRemembered && oldest.done !== true) this.#written.delete(oldest.value)
  }

  async #write(ref: ObjectRef, wanted: SpiderEndpoint, signal: AbortSignal): Promise<'written' | 'blocked'> {
    const { api } = this.#ports
    const key = `${ref.namespace}/${ref.name}`
    const isKnown = this.#seen.delete(key) || this.#written.has(key)
    if (!isKnown) {
      try {
        await api.create(resources.endpoint, wanted, signal)
        return 'written'
      } catch (error) {
        if (!(error instanceof ApiError) || error.status !== 409) throw error
      }
    }
    const existing = await api.get<SpiderEndpoint>(resources.endpoint, ref, signal)
    if (existing === undefined || existing.metadata.deletionTimestamp !== undefined) {
      if (existing !== undefined) await this.#release(ref, existing, signal)
      // It goes when others took their finalizers away, too; only then there can be another of its name.
      if (existing?.metadata.finalizers?.some((one) => one !== spiderFinalizer) === true) return 'blocked'
      await api.create(resources.endpoint, wanted, signal)
      return 'written'
    }
    const { finalizers = [], resourceVersion } = existing.metadata
    const isFinal = finalizers.includes(spiderFinalizer)
    const { ownerReferences = [] } = wanted.metadata
    const isOwned = ownerReferences.every(({ uid }) =>
      existing.metadata.ownerReferences?.some((reference) => reference.uid === uid),
    )
    const isShown = isDeepStrictEqual(existing.status, wanted.status) && isOurEndpoint(existing)
    if (isFinal && isOwned && isShown) return 'written'
    const body = {
      metadata: {
        resourceVersion,
        annotations: wanted.metadata.annotations,
        ownerReferences: wanted.metadata.ownerReferences ?? null,
        ...(isFinal ? {} : { finalizers: [...finalizers, spiderFinalizer] }),
      },
      status: wanted.status,
    }
    await api.patch(resources.endpoint, ref, { type: 'merge', body }, signal)
    return 'written'
  }

  /** Nothing is held any more: the endpoint must neither block its pod's deletion nor show addresses of others. */
  async #clear(podKey: string, ref: ObjectRef, signal: AbortSignal): Promise<void> {
    const { api } = this.#ports
    const existing = await api.get<SpiderEndpoint>(resources.endpoint, ref, signal)
    this.#written.delete(podKey)
    if (existing === undefined) return
    await this.#release(ref, existing, signal)
    const { uid, ownerReferences = [], deletionTimestamp } = existing.metadata
    if (deletionTimestamp !== undefined) return // it goes with its last finalizer
    const isOwned = ownerReferences.length > 0
    // Kubernetes' collector removes an endpoint with its pod; one without an owner, or whose pod went before, is ours.
    if (!isOwned || this.#ports.findPod(ref) === undefined) {
      await api.delete(resources.endpoint, ref, uid === undefined ? {} : { uid }, signal)
    }
  }

  /** Takes our finalizer and the addresses off an endpoint. */
  async #release(ref: ObjectRef, existing: SpiderEndpoint, signal: AbortSignal): Promise<void> {
    const { finalizers: before = [] } = existing.metadata
    const finalizers = before.filter((finalizer) => finalizer !== spiderFinalizer)
    const isReleased = finalizers.length === before.length
    const hasIps = (existing.status?.current?.ips ?? []).length > 0
    if (isReleased && !hasIps) return
    const body = {
      metadata: {
        resourceVersion: existing.metadata.resourceVersion,
        finalizers: finalizers.length === 0 ? null : finalizers,
      },
      // One without a status is not one of ours, and would not pass the schema with half of it.
      ...(hasIps ? { status: { current: { ips: [] } } } : {}),
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

/**
 * The mark of an endpoint that shows what is held; undefined when it does not. One that another allocator wrote is right when
 * its addresses are: after an adoption of thousands nothing has to be written.
 */
function markIfRight(held: readonly OwnedAddress[], endpoint: SpiderEndpoint): number | undefined {
  const first = held[0]?.entry
  const { finalizers = [], ownerReferences = [], deletionTimestamp } = endpoint.metadata
  if (first === undefined || deletionTimestamp !== undefined) return undefined
  const current = planCurrent(held)
  const shown = endpoint.status?.current
  const isRight = isOurEndpoint(endpoint)
    ? isDeepStrictEqual(shown, current)
    : shown?.ips !== undefined && endpointDigest(shown) === endpointDigest(current)
  if (!finalizers.includes(spiderFinalizer) || !isRight) return undefined
  return markOf(current, isOfWorkload(held) || ownerReferences.length > 0)
}

/**
 * Of which addresses the endpoint tells. A pod and its dead namesake may both hold some for a moment: those of the pod that is
 * there, else those that were given last.
 */
function shownOf(held: readonly OwnedAddress[], pod: Pod | undefined): readonly OwnedAddress[] {
  const [first, ...others] = held
  if (first === undefined) return held
  const ofPod = held.filter(({ entry }) => entry.podUid === pod?.metadata.uid)
  if (ofPod.length > 0) return ofPod
  const newest = others.reduce((best, one) => (one.entry.since > best.entry.since ? one : best), first)
  // The NICs of a machine may be of two of its pods, while one takes over from the other.
  if (isMachineEntry(newest.entry)) return held.filter(({ entry }) => isMachineEntry(entry))
  return held.filter(({ entry }) => entry.podUid === newest.entry.podUid)
}

function ownerOfEntry(held: readonly OwnedAddress[]): EndpointOwner {
  const entry = held.map((one) => one.entry).find(({ owner }) => claimOfOwner(owner) === undefined)
  if (entry !== undefined && isMachineEntry(entry))
    return { kind: 'VirtualMachineInstance', name: entry.pod.split('/')[1] ?? '' }
  if (entry?.owner.kind === 'sticky') return { kind: entry.owner.ownerKind, name: entry.owner.name }
  return { kind: 'Pod', name: held[0]?.entry.pod.split('/')[1] ?? '' }
}
