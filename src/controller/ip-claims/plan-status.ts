import { tryParseIp } from '../../address/index.ts'
import type {
  ClaimedIp,
  ClaimPhase,
  IpamClaim,
  PoolCondition,
  SpiderIpClaim,
  SpiderIpClaimStatus,
} from '../../api/index.ts'
import { addressText, type OwnedAddress } from '../../ledger/index.ts'

/** Why a claim has not what it asks for. */
export interface ReservationProblem {
  /** One word. */
  readonly reason: string
  readonly message: string
}

/** The status of a claim, from the ledger's entries of it. */
export function planClaimStatus(
  claim: SpiderIpClaim,
  held: readonly OwnedAddress[],
  problem: ReservationProblem | undefined,
): SpiderIpClaimStatus {
  const sorted = [...held].sort((a, b) => Number(a.ip.includes(':')) - Number(b.ip.includes(':')))
  const had = claim.status?.ips ?? []
  const isWhole = held.length > 0 && problem === undefined
  // What it had stays on record while it is lost: it is what is taken back as soon as it is free.
  const ips = isWhole || had.length < held.length ? sorted.map(claimedIp) : had
  const user = held.find(({ entry }) => entry.pod !== '')?.entry.pod
  const pod = user?.split('/')[1]
  const mac = held.find(({ entry }) => entry.grant.mac !== undefined)?.entry.grant.mac
  const text = (version: 4 | 6) => sorted.find((one) => versionOf(one.ip) === version)
  const [v4, v6] = [text(4), text(6)]
  const conditions = conditionsOf(claim, user, problem)
  return {
    phase: phaseOf({ isUsed: user !== undefined, isWhole, hadSome: had.length > 0 }),
    ips,
    ...(v4 === undefined ? {} : { ipv4: addressText(v4) }),
    ...(v6 === undefined ? {} : { ipv6: addressText(v6) }),
    ...(mac === undefined ? {} : { mac }),
    ...(pod === undefined ? {} : { pod }),
    ...(conditions.length === 0 ? {} : { conditions }),
  }
}

function phaseOf(is: {
  readonly isUsed: boolean
  readonly isWhole: boolean
  readonly hadSome: boolean
}): ClaimPhase {
  if (is.isUsed) return 'InUse'
  if (is.isWhole) return 'Reserved'
  return is.hadSome ? 'Lost' : 'Pending'
}

function conditionsOf(
  { metadata }: SpiderIpClaim,
  user: string | undefined,
  problem: ReservationProblem | undefined,
): readonly PoolCondition[] {
  const reserved =
    problem === undefined
      ? []
      : [{ type: 'Reserved', status: 'False', reason: problem.reason, message: problem.message }]
  if (metadata.deletionTimestamp === undefined || user === undefined) return reserved
  const message = `pod ${user} uses the addresses: they are freed, and the claim goes, when that pod is gone`
  return [...reserved, { type: 'Released', status: 'False', reason: 'InUse', message }]
}

function claimedIp(address: OwnedAddress): ClaimedIp {
  return { ip: addressText(address), pool: address.entry.pool, version: versionOf(address.ip) }
}

const versionOf = (ip: string): 4 | 6 => tryParseIp(ip)?.version ?? 4

/** The status of an IPAMClaim, from the ledger's entries of it. */
export function planIpamClaimStatus(held: readonly OwnedAddress[]): NonNullable<IpamClaim['status']> {
  const sorted = [...held].sort((a, b) => Number(a.ip.includes(':')) - Number(b.ip.includes(':')))
  const name = held.find(({ entry }) => entry.pod !== '')?.entry.pod.split('/')[1]
  return {
    ips: sorted.map(addressText),
    ...(name === undefined ? {} : { ownerPod: { name } }),
  }
}
