import type { AllocateRequest, BlockOwner, EntryGrant, Pod } from '../../api/index.ts'
import {
  type AddPlan,
  type Ledger,
  type OwnedAddress,
  ownerKey,
  requirePools,
  type Selection,
  type SelectionInput,
  type Want,
} from '../../ledger/index.ts'
import type { PodGrants } from '../allocator/pod-grants.ts'
import type { AllocatorWorld } from '../allocator/world.ts'
import { withClaimAttributes } from './claim-grants.ts'
import { findClaims } from './find-claim.ts'
import { type ClaimUse, useClaim } from './use-claim.ts'

export interface GrantMakers {
  readonly select: () => Selection
  /** What an address of a pool is answered with. */
  readonly grants: Pick<PodGrants, 'of'>
}

/** What the claims of a pod mean for the ADD of one of its NICs. */
export interface ClaimedAddition {
  /** Absent: the NIC has no claim. */
  readonly use?: ClaimUse
  /** The selection without other NICs that have a claim: nothing is taken for them from pools. */
  withoutClaimed(selection: Selection): Selection
  /** What other owners give to other NICs of the pod: a pod route goes to one NIC. */
  grantsOfOthers(owner: BlockOwner, nic: string): readonly EntryGrant[]
  /**
   * The plan of the ADD: what the claim has, with grants made anew when another pod used it before.
   */
  plan(use: ClaimUse, held: readonly OwnedAddress[], makers: GrantMakers): AddPlan
}

interface ClaimedPorts {
  readonly world: AllocatorWorld
  readonly ledger: Ledger
}

/** @throws {ClaimRefusedError} and others, see {@link findClaims} and {@link useClaim} */
export async function claimedAddition(
  call: { readonly pod: Pod; readonly request: AllocateRequest; readonly input: SelectionInput },
  ports: ClaimedPorts,
  signal: AbortSignal,
): Promise<ClaimedAddition> {
  const { pod, request, input } = call
  const nic = request.ifName
  const { namespace = '', name, uid = '' } = pod.metadata
  const claims = await findClaims(pod, { networks: ports.world.networksOf(pod), nic }, ports, signal)
  const choice = claims.byNic.get(nic)
  const use =
    choice === undefined ? undefined : await useClaim(choice, { pod, nic, input, claims }, ports, signal)
  const grantsOfOthers = (owner: BlockOwner, of: string): readonly EntryGrant[] =>
    ports.ledger
      .ofPod(`${namespace}/${name}`)
      .filter(({ entry }) => entry.podUid === uid && entry.nic !== of)
      .filter(({ entry }) => ownerKey(entry.owner) !== ownerKey(owner))
      .map(({ entry }) => entry.grant)
  return {
    ...(use === undefined ? {} : { use }),
    withoutClaimed: (selection) => {
      const candidates = selection.candidates.filter((one) => one.nic === nic || !claims.byNic.has(one.nic))
      return { ...selection, candidates }
    },
    grantsOfOthers,
    plan: (used, held, { select, grants }) => {
      const taken = grantsOfOthers(used.owner, nic)
      const plan = used.plan(held, () => wantsOf(select(), nic))
      const others = held.filter(({ entry }) => entry.podUid !== uid)
      const renewed = others.map(({ ip, entry }) => {
        const pool = input.pools.get(entry.pool)
        const version = ip.includes(':') ? 6 : 4
        const want: Want = { nic, version, pools: [] }
        const grant = pool === undefined ? entry.grant : grants.of({ ip, pool, want }, taken)
        const asked = request.cleanGateway ? { ...grant, cleanGateway: true } : grant
        return [ip, withClaimAttributes(asked, used.claim)] as const
      })
      return { ...plan, renewed: new Map(renewed) }
    },
  }
}

/** What an IPAMClaim takes for the NIC at its first use. */
function wantsOf({ candidates }: Selection, nic: string): readonly Want[] {
  const mine = candidates.filter((one) => one.nic === nic)
  return mine.map((one) => ({ nic, version: one.version, pools: requirePools(one) }))
}
