import { formatIp, parseIp } from '../../address/index.ts'
import type { IpVersion, Namespace, SpiderIpClaim, SpiderIpPool } from '../../api/index.ts'
import { NoPoolError, requirePools, type SelectionInput, selectPools, type Want } from '../../ledger/index.ts'
import type { AllocatorWorld } from '../allocator/world.ts'

/** What a reservation looks at beside the claim. */
export interface ReservationWorld
  extends Pick<AllocatorWorld, 'blockedPools' | 'versions' | 'installNamespace'> {
  readonly namespace: Namespace
  readonly pools: ReadonlyMap<string, SpiderIpPool>
}

const families: readonly IpVersion[] = [4, 6]

/**
 * The addresses that a claim is to get, all of them or none: those that it had, else those that it names, else one of each
 * family that its pools have. Which pools may serve is decided as for a pod of the namespace that names them, but for what they
 * ask of node, pod and network: there is none yet, and they are asked when a pod uses the claim.
 * @param missing the families that are to be taken; absent: all
 * @throws {NoPoolError} when no pool is left. @throws {InvalidInputError} when the claim or the namespace cannot be used
 */
export function planReservation(
  claim: SpiderIpClaim,
  world: ReservationWorld,
  missing?: readonly IpVersion[],
): readonly Want[] {
  const nic = claim.spec.interface ?? ''
  const ips = addressesOf(claim)
  const { candidates } = selectPools(inputOf(claim, nic, world))
  const isAsked = (version: IpVersion): boolean => {
    if (missing !== undefined) return missing.includes(version)
    const { ipv4 = [], ipv6 = [] } = claim.spec.ippools ?? {}
    return ips.size === 0 || ips.has(version) || (version === 4 ? ipv4 : ipv6).length > 0
  }
  return families.filter(isAsked).flatMap((version): readonly Want[] => {
    const ip = ips.get(version)
    const found = candidates.find((one) => one.version === version)
    if (found === undefined && ip === undefined) return []
    if (found === undefined) throw noPoolFor(ip ?? '', version, claim)
    const pools = requirePools(found).map(({ metadata }) => world.pools.get(metadata.name) ?? [])
    return [{ nic, version, pools: pools.flat(), ...(ip === undefined ? {} : { ips: [ip] }) }]
  })
}

function noPoolFor(ip: string, version: IpVersion, { spec }: SpiderIpClaim): NoPoolError {
  const field = `spec.ippools.ipv${version}`
  const isNamed = spec.ippools !== undefined
  const problem = isNamed
    ? `${field} names none for ${ip}`
    : `no IPv${version} pool is there by default for ${ip}`
  const hint = `Create another claim, with a pool of the address in ${field}: that of this one cannot change`
  return new NoPoolError('no-pool-of-family', problem, hint)
}

/** By family, in canonical text: what the claim had goes before what it asks for. */
function addressesOf({ spec, status }: SpiderIpClaim): ReadonlyMap<IpVersion, string> {
  const had = (status?.ips ?? []).map(({ ip }) => ip.split('/')[0] ?? '')
  const asked = (spec.ips ?? []).map((text, index) => ({ text, field: `spec.ips[${index}]` }))
  const all = [...asked, ...had.map((text) => ({ text, field: 'status.ips' }))]
  return new Map(
    all.map(({ text, field }) => {
      const ip = parseIp(text, { field })
      return [ip.version, formatIp(ip)]
    }),
  )
}

function inputOf(claim: SpiderIpClaim, nic: string, world: ReservationWorld): SelectionInput {
  const { name, labels = {}, annotations = {} } = world.namespace.metadata
  const { ipv4 = [], ipv6 = [] } = claim.spec.ippools ?? {}
  return {
    pod: {
      namespace: name,
      name: claim.metadata.name,
      labels: {},
      annotations: {},
    },
    claimPools: { ipv4, ipv6 },
    node: { name: '', labels: {} },
    namespace: { name, labels, annotations },
    request: { nic, defaultIpv4Pools: [], defaultIpv6Pools: [], cleanGateway: false },
    pools: withoutPlaces(world.pools),
    blockedPools: world.blockedPools,
    versions: world.versions,
    nics: [nic],
    nadOf: () => undefined,
    installNamespace: world.installNamespace,
  }
}

const copies = new WeakMap<ReadonlyMap<string, SpiderIpPool>, ReadonlyMap<string, SpiderIpPool>>()

/** The pools without what they ask of node, pod and network. The same map for the same pools. */
function withoutPlaces(pools: ReadonlyMap<string, SpiderIpPool>): ReadonlyMap<string, SpiderIpPool> {
  const known = copies.get(pools)
  if (known !== undefined) return known
  const copy = new Map(
    [...pools].map(([name, pool]) => {
      const { nodeName: _, nodeAffinity: __, podAffinity: ___, multusName: ____, ...spec } = pool.spec
      return [name, { ...pool, spec }] as const
    }),
  )
  copies.set(pools, copy)
  return copy
}
