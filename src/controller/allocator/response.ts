import { type AllocateResponse, joinDns, type Route } from '../../api/index.ts'
import { addressText, attachmentsOf, type OwnedAddress, routesOf } from '../../ledger/index.ts'

/**
 * What an ADD of the NIC is answered with: addresses as given, routes sorted, IPv4 before IPv6; DNS settings of all addresses
 * as one.
 */
export function responseOf(nic: string, addresses: readonly OwnedAddress[]): AllocateResponse {
  const routes = addresses.flatMap((address) =>
    routesOf(address).map(({ dst, gw }) => ({ ifName: nic, dst, gw })),
  )
  const dns = joinDns(addresses.map(({ entry }) => entry.grant.dns))
  const order = ({ dst, gw }: Route) => `${dst.includes(':') ? 6 : 4} ${dst} ${gw}`
  return {
    ips: addresses.map((address) => {
      const { gateway, vlan = 0, mac, metadata } = address.entry.grant
      return {
        version: address.ip.includes(':') ? 6 : 4,
        address: addressText(address),
        ...(gateway === undefined ? {} : { gateway }),
        nic,
        pool: address.entry.pool,
        vlan,
        ...(mac === undefined ? {} : { mac }),
        ...(metadata === undefined ? {} : { metadata }),
        ...(isShared(address) ? { isProbeOff: true } : {}),
      }
    }),
    routes: routes.sort((a, b) => (order(a) < order(b) ? -1 : 1)),
    ...(dns === undefined ? {} : { dns }),
  }
}

/** The other side of a live migration answers for the address; of one that was adopted nobody knows the sandbox. */
function isShared({ entry }: OwnedAddress): boolean {
  return attachmentsOf(entry).length > 1 || entry.adopted !== undefined
}
