import {
  type AllocateRequest,
  type AllocateResponse,
  annotationKeys,
  type CheckRequest,
  type EntryGrant,
  type Pod,
  type ReleaseRequest,
} from '../../api/index.ts'
import { deadlineAfter, InvalidInputError, OperationError, StepTimes } from '../../base/index.ts'
import {
  type AddPlan,
  AddressRefusedError,
  claimsOf,
  MacTakenError,
  type NewGrant,
  NoPoolError,
  type OwnedAddress,
  PoolFullError,
  type Selection,
  selectPools,
} from '../../ledger/index.ts'
import { type ClaimedAddition, claimedAddition } from '../ip-claims/claimed-addition.ts'
import { ClaimPendingError, ClaimRefusedError } from '../ip-claims/errors.ts'
import type { ClaimUse } from '../ip-claims/use-claim.ts'
import { planAdd, podRoutesOf } from './add-plan.ts'
import { quarantineConflicts } from './conflicts.ts'
import { OvertakenError } from './errors.ts'
import { type GatheredSelection, gatherSelection } from './gather-selection.ts'
import { provenRecordOf } from './owner.ts'
import { asksOf, type NicAsk, placesOfAsks, positionOf } from './pod-asks.ts'
import { PodGrants } from './pod-grants.ts'
import { CallOrder, findOwnPod } from './pod-identity.ts'
import type { AllocatorPorts } from './ports.ts'
import { Releases } from './releases.ts'
import { reportAddition } from './report-addition.ts'
import { responseOf } from './response.ts'
import type { PodRecord } from './sticky/machine.ts'
import { replacementText, StickyFailError, StickyWaitError } from './sticky/policy.ts'
import { MachineInUseError, type MachineSharing, observeSharing } from './sticky/sharing.ts'

/** Answers agents. `node` is the caller's, from its token. */
export interface Allocator {
  /** CNI ADD. @throws {OperationError}; see `toRpcFailure` */
  allocate(node: string, request: AllocateRequest, signal: AbortSignal): Promise<AllocateResponse>
  /** CNI DEL, or the undo of a failed ADD. */
  release(node: string, request: ReleaseRequest, signal: AbortSignal): Promise<void>
  /** CNI CHECK. @throws {NotRecordedError} */
  check(node: string, request: CheckRequest): void
}

/** One ADD, and what it looks at. */
interface PodCall {
  readonly pod: Pod
  readonly node: string
  readonly request: AllocateRequest
  readonly input: GatheredSelection
  readonly claimed: ClaimedAddition
  readonly steps: StepTimes
}

const budgetCapMs = 100_000
// Failures that the pod's author or an operator can do something about.
const forPeople = [
  ...[NoPoolError, PoolFullError, AddressRefusedError, MacTakenError, InvalidInputError],
  ...[MachineInUseError, StickyWaitError, StickyFailError, ClaimRefusedError, ClaimPendingError],
  OvertakenError,
]

export function createAllocator(ports: AllocatorPorts): Allocator {
  return new LedgerAllocator(ports)
}

class LedgerAllocator implements Allocator {
  readonly #ports: AllocatorPorts
  readonly #releases: Releases
  readonly #order = new CallOrder()

  constructor(ports: AllocatorPorts) {
    this.#ports = ports
    this.#releases = new Releases(ports)
  }

  release(node: string, request: ReleaseRequest, signal: AbortSignal): Promise<void> {
    return this.#releases.release(node, request, signal)
  }

  check(node: string, request: CheckRequest): void {
    this.#releases.check(node, request)
  }

  async allocate(node: string, request: AllocateRequest, signal: AbortSignal): Promise<AllocateResponse> {
    using deadline = deadlineAfter(Math.min(request.budgetMs, budgetCapMs), signal)
    const steps = new StepTimes()
    const pod = await findOwnPod(node, request, this.#ports, deadline.signal)
    steps.end('pod')
    this.#order.note(pod, request)
    try {
      return await this.#allocateFor({ pod, node, request, steps }, deadline.signal)
    } catch (error) {
      if (error instanceof OperationError && forPeople.some((kind) => error instanceof kind)) {
        const message = `failed to allocate IP addresses in standard mode: ${error.message}; ${error.hint} (reason: ${error.reasonCode})`
        this.#ports.events.podEvent(pod, 'Warning', 'FailedAllocateIP', message)
      }
      throw error
    }
  }

  async #allocateFor(
    begun: Omit<PodCall, 'input' | 'claimed'>,
    signal: AbortSignal,
  ): Promise<AllocateResponse> {
    const { world } = this.#ports
    const { pod, node, request } = begun
    const input = await gatherSelection(world, { pod, node }, request, signal)
    const claimed = await claimedAddition({ pod, request, input }, this.#ports, signal)
    const call = { ...begun, input, claimed }
    return claimed.use === undefined
      ? this.#addFromPools(call, signal)
      : this.#addWithClaim(claimed.use, call, signal)
  }

  async #addFromPools(
    { pod, node, request, input, claimed, steps }: PodCall,
    signal: AbortSignal,
  ): Promise<AllocateResponse> {
    const { ledger, world } = this.#ports
    const { ifName: nic, containerId } = request
    const record = await provenRecordOf(pod, world, signal)
    const { owner, key } = record
    const sharing = await observeSharing(pod, record, this.#ports, signal)
    const podRoutes = podRoutesOf(pod.metadata.annotations?.[annotationKeys.routes])
    let selection: Selection | undefined
    const select = () => {
      selection ??= claimed.withoutClaimed(selectPools(input))
      return selection
    }
    const asks = await this.#asksOf(pod, record, request, signal)
    const grants = new PodGrants({ pod, podRoutes, selection: () => selection, asks, pools: input.pools })
    const { isShared } = sharing ?? {}
    const lost = await quarantineConflicts(this.#ports, { pod, node, request, isShared }, signal)
    steps.end('policy')
    let existing: readonly OwnedAddress[] = []
    let plan: AddPlan = { drop: [], wants: [] }
    const answer = await ledger.add(
      {
        ...{ ...holderOf(pod, record, sharing), node, nic, containerId },
        reserved: input.reserved,
        plan: (held) => {
          this.#order.requireNewest(pod, request)
          existing = held
          plan = planAdd(held, {
            ...{ nic, containerId, isSticky: owner.kind === 'sticky' },
            isShared,
            lost,
            select,
            pools: input.pools,
            asks,
          })
          const alone = held.filter((one) => isShared?.(one) !== true)
          return { ...plan, renewed: grants.renewed(alone, plan) }
        },
        grant: (chosen, earlier) => {
          const { nic: of } = chosen.want
          const others = [...grantsBeside(of, existing, earlier), ...claimed.grantsOfOthers(owner, of)]
          return grants.of(chosen, others)
        },
      },
      signal,
    )
    steps.end('ledger')
    await this.#withdrawClaims(key, pod.metadata.uid ?? '', signal)
    const dropped = existing.filter(({ ip }) => plan.drop.includes(ip))
    reportAddition(this.#ports, { pod, request, key, steps }, answer, {
      replaced: dropped.flatMap((one) => replacementText(one, selection)),
      warnings: selection?.warnings ?? [],
      podRoutes,
      nics: input.nics,
    })
    return responseOf(nic, answer.addresses)
  }

  /** As {@link #addFromPools}, for a NIC that has a claim: the claim owns what the NIC gets. */
  async #addWithClaim(
    use: ClaimUse,
    { pod, node, request, input, claimed, steps }: PodCall,
    signal: AbortSignal,
  ): Promise<AllocateResponse> {
    const { ledger } = this.#ports
    const { namespace = '', name, uid = '', annotations = {} } = pod.metadata
    const { ifName: nic, containerId } = request
    const key = `${namespace}/${name}`
    const podRoutes = podRoutesOf(annotations[annotationKeys.routes])
    let selection: Selection | undefined
    const select = () => {
      selection ??= claimed.withoutClaimed(selectPools(input))
      return selection
    }
    const asks = await this.#asksOf(pod, { owner: { kind: 'pod', uid }, key }, request, signal)
    const grants = new PodGrants({ pod, podRoutes, selection: () => selection, asks, pools: input.pools })
    steps.end('policy')
    const answer = await ledger.add(
      {
        ...{ owner: use.owner, pod: key, podUid: uid, node, containerId, nic },
        reserved: input.reserved,
        mayTake: (entry) => use.mayTake(entry),
        plan: (held) => {
          this.#order.requireNewest(pod, request)
          return claimed.plan(use, held, { select, grants })
        },
        grant: (chosen) => grants.of(chosen, claimed.grantsOfOthers(use.owner, chosen.want.nic)),
      },
      signal,
    )
    steps.end('ledger')
    await this.#withdrawClaims(key, uid, signal)
    const found = { replaced: [], warnings: selection?.warnings ?? [], podRoutes, nics: input.nics }
    reportAddition(this.#ports, { pod, request, key, steps }, answer, found)
    return responseOf(nic, answer.addresses)
  }

  async #asksOf(
    pod: Pod,
    { owner, key }: PodRecord,
    request: AllocateRequest,
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, NicAsk>> {
    const { ledger, world } = this.#ports
    const { annotations = {} } = pod.metadata
    const runtimeIps = request.ips ?? []
    if (runtimeIps.length === 0 && placesOfAsks.every((place) => annotations[place] === undefined))
      return new Map()
    const hasList = annotations[annotationKeys.ips] !== undefined
    const position = hasList ? await positionOf(pod, owner, world, signal) : undefined
    return asksOf({
      pod,
      networks: world.networksOf(pod),
      nic: request.ifName,
      runtimeIps,
      heldNics: new Set(ledger.ofPod(key).map(({ entry }) => entry.nic)),
      ...(position === undefined ? {} : { position }),
    })
  }

  /** A pod with a new sandbox uses no address of its old one: what it is recorded for beside the owner is the owner's. */
  async #withdrawClaims(podKey: string, uid: string, signal: AbortSignal): Promise<void> {
    const { ledger } = this.#ports
    for (const { ip, entry } of ledger.claimedBy(podKey)) {
      const claim = claimsOf(entry).find(({ podUid }) => podUid === uid)
      if (claim !== undefined) await ledger.withdraw(ip, claim, signal)
    }
  }
}

/** What other NICs of the pod have. */
function grantsBeside(
  nic: string,
  existing: readonly OwnedAddress[],
  earlier: readonly NewGrant[],
): readonly EntryGrant[] {
  return [
    ...existing.filter(({ entry }) => entry.nic !== nic).map(({ entry }) => entry.grant),
    ...earlier.filter((one) => one.chosen.want.nic !== nic).map(({ grant }) => grant),
  ]
}

/** Whose an address becomes, and who may use it beside the pod. */
function holderOf(pod: Pod, { owner, key, adoptedOwner }: PodRecord, sharing: MachineSharing | undefined) {
  const { name, uid = '' } = pod.metadata
  return {
    owner,
    pod: key,
    podUid: uid,
    ...(adoptedOwner === undefined ? {} : { podName: name, adoptedOwner }),
    ...(sharing === undefined ? {} : { sharing: sharing.of }),
  }
}
