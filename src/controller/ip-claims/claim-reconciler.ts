import { isDeepStrictEqual } from 'node:util'
import {
  type ClaimKind,
  type ClaimRef,
  type IpamClaim,
  type IpVersion,
  ownerOfClaim,
  type Pod,
  resources,
  type SpiderIpClaim,
  spiderFinalizer,
  spiderGroup,
  spiderVersion,
} from '../../api/index.ts'
import { InvalidInputError, type Logger } from '../../base/index.ts'
import { ApiError, type EventRecorder, type KubeApi } from '../../kube/index.ts'
import {
  AddressRefusedError,
  attachmentsOf,
  grantOf,
  type Ledger,
  MacTakenError,
  NoPoolError,
  type OwnedAddress,
  PoolFullError,
  reservedOf,
} from '../../ledger/index.ts'
import type { AllocatorWorld } from '../allocator/world.ts'
import { letGo } from '../final-objects.ts'
import { findingOf } from '../reclaim/plan-reclaim.ts'
import { withClaimAttributes } from './claim-grants.ts'
import { planReservation } from './plan-reservation.ts'
import { planClaimStatus, planIpamClaimStatus, type ReservationProblem } from './plan-status.ts'

/** A claim that waits for addresses is tried again so often, beside when one is freed or a pool changes. */
const pendingRetryMs = 30_000
/** A claim that is deleted while a pod uses it: the end of that pod brings it here, this is for what was missed. */
const usedRetryMs = 60_000
/** An IPAMClaim that the cache does not have: its kind may be new, and the end of the claim would not be heard of. */
const unseenRetryMs = 5_000

export interface ClaimReconcilerPorts {
  readonly api: KubeApi
  readonly ledger: Pick<Ledger, 'add' | 'free' | 'ofOwner'>
  readonly world: AllocatorWorld
  readonly events: EventRecorder
  readonly logger: Logger
  /** Whether the cache has the IPAMClaim. */
  isSeen(ref: ClaimRef): boolean
  /** @throws {OperationError} while nothing may be allocated */
  requireOpen(): void
}

/** Reserves what claims ask for, frees what deleted ones had, and writes their status. */
export class ClaimReconciler {
  readonly #ports: ClaimReconcilerPorts
  /** Keys of claims that wait for addresses. */
  readonly #pending = new Set<string>()

  constructor(ports: ClaimReconcilerPorts) {
    this.#ports = ports
  }

  /** Keys of the claims that something was freed for, perhaps. */
  pending(): Iterable<string> {
    return this.#pending
  }

  /**
   * Works on one claim, which is told by its uid: a namesake that came later is another.
   * @param key see {@link claimKey}
   * @returns milliseconds after which to look again
   */
  async reconcile(key: string, signal: AbortSignal): Promise<number | undefined> {
    const ref = parseClaimKey(key)
    const { kind, namespace, name, uid } = ref
    const resource = kind === 'IPAMClaim' ? resources.ipamClaim : resources.ipClaim
    const found = await this.#ports.api.get<SpiderIpClaim | IpamClaim>(resource, { namespace, name }, signal)
    const claim = found?.metadata.uid === uid ? found : undefined
    this.#pending.delete(key)
    if (claim === undefined || claim.metadata.deletionTimestamp !== undefined) {
      return this.#end(ref, claim, signal)
    }
    if (kind === 'IPAMClaim') {
      await this.#showIpamClaim(ref, claim as IpamClaim, signal) // read from the resource of that kind
      return this.#ports.isSeen(ref) ? undefined : unseenRetryMs
    }
    return this.#keep(key, ref, claim as SpiderIpClaim, signal) // as above
  }

  async #keep(
    key: string,
    ref: ClaimRef,
    found: SpiderIpClaim,
    signal: AbortSignal,
  ): Promise<number | undefined> {
    // The finalizer first: a claim that goes in between would leave what is reserved behind.
    const claim = await this.#withFinalizer(found, signal)
    if (claim === undefined) return 0
    const problem = await this.#reserve(ref, claim, signal)
    await this.#show(ref, claim, problem, signal)
    if (problem === undefined) return undefined
    this.#pending.add(key)
    return pendingRetryMs
  }

  /** Frees what no living pod uses; the claim goes when nothing is left. */
  async #end(
    ref: ClaimRef,
    claim: SpiderIpClaim | IpamClaim | undefined,
    signal: AbortSignal,
  ): Promise<number | undefined> {
    const { ledger, api, logger } = this.#ports
    const owner = ownerOfClaim(ref)
    const unused: OwnedAddress[] = []
    for (const address of ledger.ofOwner(owner)) {
      if (await this.#isUnused(address, signal)) unused.push(address)
    }
    const freed = unused.length === 0 ? [] : await ledger.free(unused, signal)
    if (freed.length > 0) {
      const { kind, namespace, name, uid } = ref
      logger.info('claim ended, its addresses are free', {
        claim: `${kind} ${namespace}/${name}`,
        uid,
        ips: freed,
      })
    }
    const left = ledger.ofOwner(owner)
    if (claim === undefined || ref.kind === 'IPAMClaim') return left.length === 0 ? undefined : usedRetryMs
    if (left.length > 0) {
      await this.#show(ref, claim as SpiderIpClaim, undefined, signal) // by its kind
      return usedRetryMs
    }
    await letGo(resources.ipClaim, claim, api, signal)
    return undefined
  }

  /** True when no pod is named, or the named one is over and has no sandbox: one that has is left to DEL and the reclaimer. */
  async #isUnused({ entry }: OwnedAddress, signal: AbortSignal): Promise<boolean> {
    if (entry.pod === '') return true
    if (attachmentsOf(entry).length > 0) return false
    const [namespace = '', name = ''] = entry.pod.split('/')
    const finding = findingOf(await this.#ports.api.get<Pod>(resources.pod, { namespace, name }, signal))
    return finding.kind !== 'alive' || finding.uid !== entry.podUid
  }

  /** @returns undefined when the claim changed meanwhile */
  async #withFinalizer(claim: SpiderIpClaim, signal: AbortSignal): Promise<SpiderIpClaim | undefined> {
    const { name, namespace = '', finalizers = [], resourceVersion } = claim.metadata
    if (finalizers.includes(spiderFinalizer)) return claim
    const body = { metadata: { resourceVersion, finalizers: [...finalizers, spiderFinalizer] } }
    try {
      const { api } = this.#ports
      return await api.patch(resources.ipClaim, { name, namespace }, { type: 'merge', body }, signal)
    } catch (error) {
      if (isChanged(error)) return undefined
      throw error
    }
  }

  /** Reserves what is missing. @returns why it cannot, for people */
  async #reserve(
    ref: ClaimRef,
    claim: SpiderIpClaim,
    signal: AbortSignal,
  ): Promise<ReservationProblem | undefined> {
    const { ledger, world, logger, requireOpen } = this.#ports
    const owner = ownerOfClaim(ref)
    const missing = missingOf(claim, ledger.ofOwner(owner))
    if (missing === 'none') return undefined
    const namespace = await world.namespace(ref.namespace, signal)
    if (namespace === undefined)
      return { reason: 'NamespaceMissing', message: 'its namespace cannot be read' }
    const pools = world.pools()
    requireOpen()
    try {
      const wants = planReservation(claim, { ...reservationWorld(world), namespace, pools }, listOf(missing))
      const { created } = await ledger.add(
        {
          owner,
          pod: '',
          podUid: '',
          node: '',
          containerId: '',
          nic: claim.spec.interface ?? '',
          isReservation: true,
          reserved: reservedOf(world.reservedIps()),
          mayTake: () => true,
          plan: (existing) => {
            const has = (version: IpVersion) => existing.some(({ ip }) => versionOf(ip) === version)
            return { drop: [], wants: wants.filter(({ version }) => !has(version)) }
          },
          grant: ({ pool }) =>
            withClaimAttributes(grantOf({ pool, cleanGateway: false, podRoutes: [], taken: [] }), claim),
        },
        signal,
      )
      const ips = created.map(({ ip }) => ip)
      logger.info('addresses reserved', { claim: `${ref.namespace}/${ref.name}`, uid: ref.uid, ips })
      return undefined
    } catch (error) {
      const problem = problemOf(error)
      if (problem === undefined) throw error
      return problem
    }
  }

  async #show(
    ref: ClaimRef,
    claim: SpiderIpClaim,
    problem: ReservationProblem | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    const { ledger, events } = this.#ports
    const wanted = planClaimStatus(claim, ledger.ofOwner(ownerOfClaim(ref)), problem)
    if (isDeepStrictEqual(claim.status, wanted)) return
    const isNew = claim.status?.conditions?.some(({ message }) => message === problem?.message) !== true
    if (problem !== undefined && isNew) {
      const subject = {
        apiVersion: `${spiderGroup}/${spiderVersion}`,
        kind: 'SpiderIPClaim',
        metadata: claim.metadata,
      }
      events.event(subject, 'Warning', problem.reason, problem.message)
    }
    const { ipv4, ipv6, mac, pod, conditions } = wanted
    const cleared = {
      ipv4: ipv4 ?? null,
      ipv6: ipv6 ?? null,
      mac: mac ?? null,
      pod: pod ?? null,
      conditions: conditions ?? null,
    }
    await this.#patchStatus(ref, { ...wanted, ...cleared }, signal)
  }

  /** What an IPAMClaim has of us; one of another allocator is never asked about. */
  async #showIpamClaim(ref: ClaimRef, claim: IpamClaim, signal: AbortSignal): Promise<void> {
    const wanted = planIpamClaimStatus(this.#ports.ledger.ofOwner(ownerOfClaim(ref)))
    const { ips = [], ownerPod } = claim.status ?? {}
    if (isDeepStrictEqual({ ips, ownerPod }, { ips: wanted.ips, ownerPod: wanted.ownerPod })) return
    await this.#patchStatus(ref, { ...wanted, ownerPod: wanted.ownerPod ?? null }, signal)
  }

  async #patchStatus(
    { kind, namespace, name }: ClaimRef,
    status: object,
    signal: AbortSignal,
  ): Promise<void> {
    const resource = kind === 'IPAMClaim' ? resources.ipamClaim : resources.ipClaim
    const patch = { type: 'merge', body: { status }, subresource: 'status' } as const
    try {
      await this.#ports.api.patch(resource, { namespace, name }, patch, signal)
    } catch (error) {
      // Gone meanwhile, which brings it here again.
      if (!isChanged(error)) throw error
    }
  }
}

/** The name of a claim in a queue. */
export function claimKey({ kind, namespace, name, uid }: ClaimRef): string {
  return [kind, namespace, name, uid].join(' ')
}

function parseClaimKey(key: string): ClaimRef {
  const [kind = '', namespace = '', name = '', uid = ''] = key.split(' ')
  return { kind: kind as ClaimKind, namespace, name, uid } // from claimKey()
}

/** The families that a claim lacks: those that its status has and the ledger has not; all, when neither has any. */
function missingOf(
  claim: SpiderIpClaim,
  held: readonly OwnedAddress[],
): 'none' | 'all' | readonly IpVersion[] {
  const had = (claim.status?.ips ?? []).map(({ version }) => version)
  if (had.length === 0) return held.length === 0 ? 'all' : 'none'
  const missing = had.filter((version) => !held.some(({ ip }) => versionOf(ip) === version))
  return missing.length === 0 ? 'none' : missing
}

const listOf = (missing: 'all' | readonly IpVersion[]): readonly IpVersion[] | undefined =>
  missing === 'all' ? undefined : missing

const versionOf = (ip: string): IpVersion => (ip.includes(':') ? 6 : 4)

function reservationWorld({ blockedPools, versions, installNamespace }: AllocatorWorld) {
  return { blockedPools, versions, installNamespace }
}

/** What people can do something about; undefined for anything else. */
function problemOf(error: unknown): ReservationProblem | undefined {
  const reasons = [
    [PoolFullError, 'PoolFull'],
    [AddressRefusedError, 'AddressUnavailable'],
    [NoPoolError, 'NoEligiblePool'],
    [MacTakenError, 'MacTaken'],
    [InvalidInputError, 'SpecUnusable'],
  ] as const
  for (const [kind, reason] of reasons) {
    if (error instanceof kind) return { reason, message: `${error.message}; ${error.hint}` }
  }
  return undefined
}

function isChanged(error: unknown): boolean {
  return error instanceof ApiError && (error.status === 404 || error.status === 409)
}
