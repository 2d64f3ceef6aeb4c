import type { EndpointNic, OwnerReference, Pod, SpiderEndpoint } from '../../api/index.ts'
import {
  annotationKeys,
  claimOfOwner,
  joinDns,
  joinMetadata,
  spiderFinalizer,
  spiderGroup,
  spiderVersion,
} from '../../api/index.ts'
import { assert } from '../../base/index.ts'
import type { OwnedAddress } from '../../ledger/index.ts'
import { endpointDigest } from './view-marks.ts'

/** The workload that a pod belongs to (spec/ipam.md §3, top owner). */
export interface EndpointOwner {
  readonly kind: string
  readonly name: string
}

/**
 * The endpoint of one pod as the ledger wants it (spec/ipam.md §10.2).
 *
 * @param held addresses of one pod uid, at least one
 * @param pod the pod, when it still exists: stateless pods own their endpoint
 */
export function planEndpoint(
  held: readonly OwnedAddress[],
  owner: EndpointOwner,
  pod: Pod | undefined,
): SpiderEndpoint {
  const first = held[0]
  assert(first !== undefined, 'an endpoint without addresses')
  const [namespace = '', name = ''] = first.entry.pod.split('/')
  const ownerReferences =
    isOfWorkload(held) || pod?.metadata.uid === undefined ? undefined : [podReference(pod)]
  const current = planCurrent(held)
  return {
    apiVersion: `${spiderGroup}/${spiderVersion}`,
    kind: 'SpiderEndpoint',
    metadata: {
      name,
      namespace,
      annotations: { [annotationKeys.endpointView]: endpointDigest(current) },
      finalizers: [spiderFinalizer],
      ...(ownerReferences === undefined ? {} : { ownerReferences }),
    },
    status: {
      current,
      ownerControllerType: owner.kind,
      ownerControllerName: owner.name,
    },
  }
}

/** The endpoint outlives its pod, as the addresses do. What claims own leaves the endpoint when the pod is over. */
export function isOfWorkload(held: readonly OwnedAddress[]): boolean {
  return held.some(({ entry }) => entry.owner.kind === 'sticky' && claimOfOwner(entry.owner) === undefined)
}

/** What the endpoint shows of the addresses that one pod uid holds, at least one. */
export function planCurrent(held: readonly OwnedAddress[]): SpiderEndpoint['status']['current'] {
  const first = held[0]
  assert(first !== undefined, 'an endpoint without addresses')
  return { uid: first.entry.podUid, node: first.entry.node, ips: planNics(held) }
}

function podReference(pod: Pod): OwnerReference {
  return { apiVersion: 'v1', kind: 'Pod', name: pod.metadata.name, uid: pod.metadata.uid ?? '' }
}

function planNics(held: readonly OwnedAddress[]): readonly EndpointNic[] {
  const nics: { readonly nic: string; readonly addresses: OwnedAddress[] }[] = []
  for (const address of held) {
    const { nic } = address.entry
    // Adopted ones may have no name of a NIC: two of a family are of two NICs.
    const hasRoom = (addresses: readonly OwnedAddress[]) =>
      nic !== '' || addresses.every((one) => isIpv6(one) !== isIpv6(address))
    const group = nics.find((one) => one.nic === nic && hasRoom(one.addresses))
    if (group === undefined) nics.push({ nic, addresses: [address] })
    else group.addresses.push(address)
  }
  return nics
    .sort((a, b) => (a.nic < b.nic ? -1 : Number(a.nic > b.nic)))
    .map(({ nic, addresses }) => planNic(nic, [...addresses].sort(byFamily)))
}

function planNic(nic: string, addresses: readonly OwnedAddress[]): EndpointNic {
  const routes = addresses.flatMap(({ entry }) => entry.grant.routes ?? [])
  const mac = addresses.find(({ entry }) => entry.grant.mac !== undefined)?.entry.grant.mac
  const dns = joinDns(addresses.map(({ entry }) => entry.grant.dns))
  const metadata = joinMetadata(addresses.map(({ entry }) => entry.grant.metadata))
  return {
    interface: nic,
    ...Object.assign({}, ...addresses.map(familyFields)),
    vlan: addresses.find(({ entry }) => entry.grant.vlan !== undefined)?.entry.grant.vlan ?? 0,
    // The flag as it was asked for, whether or not there is a gateway (spec/ipam.md §23, 27).
    cleanGateway: addresses.some(({ entry }) => entry.grant.cleanGateway === true),
    ...(mac === undefined ? {} : { mac }),
    ...(routes.length === 0 ? {} : { routes }),
    ...(dns === undefined ? {} : { dns }),
    ...(metadata === undefined ? {} : { metadata }),
  }
}

/** IPv4 before IPv6. */
function byFamily(a: OwnedAddress, b: OwnedAddress): number {
  return Number(isIpv6(a)) - Number(isIpv6(b))
}

function isIpv6({ ip }: OwnedAddress): boolean {
  return ip.includes(':')
}

function familyFields({ ip, entry }: OwnedAddress): Partial<EndpointNic> {
  const address = `${ip}/${entry.grant.prefixBits}`
  const { gateway } = entry.grant
  return !ip.includes(':')
    ? { ipv4: address, ipv4Pool: entry.pool, ...(gateway === undefined ? {} : { ipv4Gateway: gateway }) }
    : { ipv6: address, ipv6Pool: entry.pool, ...(gateway === undefined ? {} : { ipv6Gateway: gateway }) }
}
