import { formatIp, tryParseIpWithPrefix } from '../../address/index.ts'
import {
  type AdoptedFrom,
  type AllocationRecord,
  crdLimits,
  type EndpointNic,
  type EntryGrant,
  foreignText,
  type IpVersion,
  type SpiderEndpoint,
} from '../../api/index.ts'
import { InvalidInputError } from '../../base/index.ts'

/** Somebody recorded that a pod has an address. */
export interface FoundClaim {
  readonly from: AdoptedFrom
  readonly ip: string
  readonly pool: string
  /** `namespace/name`. */
  readonly pod: string
  /** '' when the record does not say. */
  readonly podUid: string
  /** '' when it is not known. */
  readonly node: string
  readonly nic: string
  /** What the pod was answered with; a record does not say. */
  readonly grant?: EntryGrant
  /** The workload on top, as an endpoint says. */
  readonly workload?: { readonly kind: string; readonly name: string }
}

/** What the records of one pool claim. */
export function claimsOfRecords(pool: string, records: readonly AllocationRecord[]): readonly FoundClaim[] {
  return records.map((record) => ({ from: 'record', pool, ...record }))
}

/** What one endpoint claims; an address that cannot be read is a problem, and claims nothing. */
export function claimsOfEndpoint(endpoint: SpiderEndpoint): {
  readonly claims: readonly FoundClaim[]
  readonly problems: readonly InvalidInputError[]
} {
  const claims: FoundClaim[] = []
  const problems: InvalidInputError[] = []
  for (const [index, nic] of (endpoint.status?.current?.ips ?? []).entries()) {
    for (const version of [4, 6] as const) {
      const found = claimOf(endpoint, nic, version, `status.current.ips[${index}]`)
      if (found instanceof InvalidInputError) problems.push(found)
      else if (found !== undefined) claims.push(found)
    }
  }
  return { claims, problems }
}

function claimOf(
  { metadata, status }: SpiderEndpoint,
  nic: EndpointNic,
  version: IpVersion,
  path: string,
): FoundClaim | InvalidInputError | undefined {
  const [text, pool = ''] = version === 4 ? [nic.ipv4, nic.ipv4Pool] : [nic.ipv6, nic.ipv6Pool]
  if (text === undefined || text === '') return undefined
  const address = tryParseIpWithPrefix(text)
  if (address?.ip.version !== version) {
    const problem = `is no IPv${version} address with a prefix length`
    const hint = 'write one such as 10.6.0.9/16, or delete the endpoint: it is made again from the ledger'
    return new InvalidInputError(`${path}.ipv${version}`, text, problem, hint)
  }
  const { namespace = '', name } = metadata
  const { ownerControllerType: kind, ownerControllerName, current } = status
  return {
    from: 'endpoint',
    ip: formatIp(address.ip),
    pool: foreignText(pool),
    pod: `${namespace}/${name}`,
    podUid: foreignText(current.uid),
    node: foreignText(current.node),
    nic: foreignText(nic.interface),
    grant: grantOf(nic, version, address.prefixBits),
    workload: { kind: foreignText(kind), name: foreignText(ownerControllerName) },
  }
}

function grantOf(nic: EndpointNic, version: IpVersion, prefixBits: number): EntryGrant {
  const { ipLength, cidrLength, recordedRoutes } = crdLimits
  const gateway = (version === 4 ? nic.ipv4Gateway : nic.ipv6Gateway) ?? ''
  const routes = (nic.routes ?? [])
    .filter(
      ({ dst, gw }) =>
        dst.includes(':') === (version === 6) && dst.length <= cidrLength && gw.length <= ipLength,
    )
    .slice(0, recordedRoutes)
  const mac = foreignText(nic.mac ?? '')
  return {
    prefixBits,
    ...(gateway === '' || gateway.length > ipLength ? {} : { gateway }),
    ...(routes.length === 0 ? {} : { routes }),
    ...(nic.cleanGateway === true ? { cleanGateway: true } : {}),
    ...(nic.vlan === undefined || nic.vlan === 0 ? {} : { vlan: nic.vlan }),
    ...(mac === '' ? {} : { mac }),
  }
}
