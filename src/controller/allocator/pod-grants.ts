import { isDeepStrictEqual } from 'node:util'
import {
  type Attributes,
  annotationKeys,
  type EntryGrant,
  type IpVersion,
  type Pod,
  type PodRoute,
  parsePodDns,
  parsePodMetadata,
  parseRefreshAttributes,
  type SpiderIpPool,
} from '../../api/index.ts'
import { InvalidInputError } from '../../base/index.ts'
import { type AddPlan, type Chosen, grantOf, type OwnedAddress, type Selection } from '../../ledger/index.ts'
import type { NicAsk } from './pod-asks.ts'

/** What the answers of one ADD are made of. */
export interface GrantSources {
  readonly pod: Pod
  readonly podRoutes: readonly PodRoute[]
  /** Of this call; undefined when the pod has all it needs. */
  selection(): Selection | undefined
  readonly pools: ReadonlyMap<string, SpiderIpPool>
  /** What the pod asks for, by NIC. */
  readonly asks: ReadonlyMap<string, NicAsk>
}

/** What the new addresses of one ADD are answered with. */
export class PodGrants {
  readonly #sources: GrantSources
  #attributes: Attributes | undefined

  constructor(sources: GrantSources) {
    this.#sources = sources
  }

  /**
   * @param others what the pod's other NICs were given: a pod route goes to one NIC
   * @throws {InvalidInputError} when an annotation cannot be used
   */
  of({ pool, want, ip }: Chosen, others: readonly EntryGrant[]): EntryGrant {
    const grant = this.#fromPool(pool, { nic: want.nic, version: want.version, others })
    this.#requirePrefix(ip, want.nic, grant)
    return this.#asAsked(grant, want.nic, ip)
  }

  /**
   * What a sticky owner's kept addresses are answered with when its pod is a new one; those without change are left out. The
   * snapshot stays (spec/ipam.md §9), but for what the pod asks for, and unless it asks for what the pools give now.
   * @throws {InvalidInputError} when an annotation cannot be used
   */
  renewed(held: readonly OwnedAddress[], { drop }: AddPlan): ReadonlyMap<string, EntryGrant> {
    const { pod, pools } = this.#sources
    const { uid } = pod.metadata
    const kept = held.filter(({ ip }) => !drop.includes(ip))
    const renewed = new Map<string, EntryGrant>()
    for (const { ip, entry } of kept) {
      if (entry.podUid === uid || entry.owner.kind !== 'sticky') continue
      const pool = isRefreshed(pod) ? pools.get(entry.pool) : undefined
      const grantNow = ({ ip: other, entry: one }: OwnedAddress) => renewed.get(other) ?? one.grant
      const others = kept.filter((one) => one.entry.nic !== entry.nic).map(grantNow)
      const place = { nic: entry.nic, version: ip.includes(':') ? (6 as const) : (4 as const), others }
      const grant = pool === undefined ? entry.grant : this.#fromPool(pool, place, entry.grant)
      this.#requirePrefix(ip, entry.nic, grant)
      const asked = this.#asAsked(grant, entry.nic, ip)
      if (!isDeepStrictEqual(asked, entry.grant)) renewed.set(ip, asked)
    }
    return renewed
  }

  #fromPool(
    pool: SpiderIpPool,
    { nic, version, others }: { nic: string; version: IpVersion; others: readonly EntryGrant[] },
    before?: EntryGrant,
  ): EntryGrant {
    const { pod, podRoutes, selection } = this.#sources
    // A repeat is answered with what is recorded: an annotation that was spoilt meanwhile is in nobody's way.
    this.#attributes ??= attributesOf(pod)
    const candidates = selection()?.candidates.find((one) => one.nic === nic && one.version === version)
    const grant = grantOf({
      pool,
      cleanGateway: candidates?.cleanGateway ?? before?.cleanGateway ?? false,
      podRoutes,
      taken: others.flatMap(({ routes = [] }) => routes),
      attributes: this.#attributes,
    })
    return before?.mac === undefined ? grant : { ...grant, mac: before.mac }
  }

  #asAsked(grant: EntryGrant, nic: string, ip: string): EntryGrant {
    const ask = this.#sources.asks.get(nic)
    const asked = ask === undefined ? [] : ask.ips[ip.includes(':') ? 6 : 4]
    const { isStatic: _, ...rest } = grant
    return {
      ...rest,
      ...(ask?.mac === undefined ? {} : { mac: ask.mac }),
      ...(asked.some((one) => one.ip === ip) ? { isStatic: true } : {}),
    }
  }

  #requirePrefix(ip: string, nic: string, { prefixBits }: EntryGrant): void {
    const ask = this.#sources.asks.get(nic)
    const asked = ask?.ips[ip.includes(':') ? 6 : 4].find((one) => one.ip === ip)
    if (asked?.prefixBits === undefined || asked.prefixBits === prefixBits) return
    throw new InvalidInputError(
      `address that is asked for ${nic}`,
      `${ip}/${asked.prefixBits}`,
      `has another prefix length than the subnet of its IPPool, ${prefixBits}`,
      `Ask for ${ip}, or for ${ip}/${prefixBits}`,
    )
  }
}

/** DNS settings and metadata of the pod's annotations. @throws {InvalidInputError} */
function attributesOf({ metadata }: Pod): Attributes {
  const { [annotationKeys.dns]: dns, [annotationKeys.metadata]: facts } = metadata.annotations ?? {}
  isRefreshed({ metadata }) // a slip shows with the first pod, not when one is replaced
  return {
    ...(dns === undefined ? {} : { dns: parsePodDns(dns) }),
    ...(facts === undefined ? {} : { metadata: parsePodMetadata(facts) }),
  }
}

/** @throws {InvalidInputError} when the annotation is neither true nor false */
function isRefreshed({ metadata }: Pod): boolean {
  return parseRefreshAttributes(metadata.annotations?.[annotationKeys.refreshAttributes])
}
