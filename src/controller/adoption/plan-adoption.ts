import type { BlockEntry, BlockOwner, EntryGrant, Pod } from '../../api/index.ts'
import { type FoundAddress, isSameHolder } from '../../ledger/index.ts'
import type { FoundClaim } from './found-claims.ts'

/** What the plan needs to know of the cluster. */
export interface AdoptionFacts {
  readonly nowMs: number
  /** From the cache, by `namespace/name`. */
  findPod(pod: string): Pod | undefined
  /** Whose the address is. */
  ownerOf(claim: FoundClaim): BlockOwner
  /** What the pool gives with an address: for a claim that does not say. */
  grantOf(claim: FoundClaim): EntryGrant
  /** What the ledger has of the address. */
  entryOf(ip: string): BlockEntry | undefined
}

/**
 * From what others recorded to what the ledger takes in: one entry for each address, with all its holders. Records come
 * before endpoints: in the reference project the pool decides and the endpoint follows. What the ledger has already, from
 * this or an earlier adoption or because it gave the address itself, is left out.
 */
export function planAdoption(claims: readonly FoundClaim[], facts: AdoptionFacts): readonly FoundAddress[] {
  const byIp = Map.groupBy(claims, ({ ip }) => ip)
  return [...byIp].flatMap(([ip, found]) => {
    const known = facts.entryOf(ip)
    const all = known === undefined ? [] : [known, ...(known.claims ?? [])]
    const holders = holdersOf(found, facts).filter((holder) => !all.some((one) => isSameHolder(one, holder)))
    return holders.length === 0 ? [] : [{ ip, holders }]
  })
}

/** The holders of one address: what is recorded twice for one of them is joined. */
function holdersOf(claims: readonly FoundClaim[], facts: AdoptionFacts): readonly BlockEntry[] {
  const holders: BlockEntry[] = []
  for (const claim of [...claims].sort(byPrecedence)) {
    const entry = entryOf(claim, facts)
    const at = holders.findIndex((holder) => isSameHolder(holder, entry))
    const before = holders[at]
    if (before === undefined) holders.push(entry)
    else holders[at] = joined(before, entry, facts)
  }
  return holders
}

function byPrecedence(a: FoundClaim, b: FoundClaim): number {
  if (a.from !== b.from) return a.from === 'record' ? -1 : 1
  return a.pod === b.pod ? 0 : a.pod < b.pod ? -1 : 1
}

function entryOf(claim: FoundClaim, facts: AdoptionFacts): BlockEntry {
  const { pool, nic, pod, from } = claim
  const found = facts.findPod(pod)
  // Without a uid the pod of that name counts: it is alive, and may use the address.
  const podUid = claim.podUid === '' ? (found?.metadata.uid ?? '') : claim.podUid
  const nodeOfPod = found?.metadata.uid === podUid ? (found.spec?.nodeName ?? '') : ''
  return {
    pool,
    nic,
    owner: facts.ownerOf({ ...claim, podUid }),
    pod,
    podUid,
    node: nodeOfPod === '' ? claim.node : nodeOfPod,
    since: facts.nowMs,
    grant: claim.grant ?? facts.grantOf(claim),
    adopted: from,
  }
}

/** A record and an endpoint of one holder: the record has the pool, the endpoint the NIC and what was answered. */
function joined(record: BlockEntry, endpoint: BlockEntry, facts: AdoptionFacts): BlockEntry {
  // A replica whose pod was replaced while the reference wrote: the pod that is there counts.
  const isNewer = facts.findPod(endpoint.pod)?.metadata.uid === endpoint.podUid
  const { pod, podUid } = isNewer ? endpoint : record
  return {
    ...record,
    pod,
    podUid,
    nic: record.nic === '' ? endpoint.nic : record.nic,
    node: endpoint.node === '' ? record.node : endpoint.node,
    grant: endpoint.adopted === 'endpoint' ? endpoint.grant : record.grant,
  }
}
