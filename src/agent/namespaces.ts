import { statSync } from 'node:fs'
import { parseCidr, parseIp } from '../address/index.ts'
import type { IpVersion } from '../api/index.ts'
import { openNetlink, type Route } from '../netlink/index.ts'
import type { DefaultRouteChange, Namespaces } from './ports.ts'

const mainTable = 254
const bootProtocol = 3

/**
 * Namespaces of this machine, through netlink.
 * @param hostNetns path of the node's namespace; our own when it has none of its own
 */
export function machineNamespaces(hostNetns: string): Namespaces {
  const own = statSync('/proc/self/ns/net') // no thread of ours leaves it for good
  const identity = (path: string) => identityOn(own.dev, path)
  const ownIdentity = `${own.dev}:${own.ino}`
  return {
    identity,
    hostIdentities: () => [ownIdentity, identity(hostNetns)].filter((item) => item !== undefined),
    interfaceNames: (path) => {
      using netlink = openNetlink(path)
      return netlink.links().map((link) => link.name)
    },
    changeDefaultRoutes,
    giveMac: (path, ifName, mac) => {
      using netlink = openNetlink(path)
      const link = netlink.getLink(ifName)
      if (link.mac !== mac) netlink.changeLink(link.index, { mac })
    },
  }
}

// A namespace file lives on nsfs: its device and inode are the namespace, whatever path or mount it is reached by.
// Memory answers, in less time than it takes to wake another thread for it.
function identityOn(nsfs: number, path: string): string | undefined {
  try {
    const found = statSync(path)
    return found.dev === nsfs ? `${found.dev}:${found.ino}` : undefined
  } catch (error) {
    if (
      error instanceof Error &&
      'code' in error &&
      ['ENOENT', 'ENOTDIR', 'ESRCH'].includes(String(error.code))
    )
      return undefined
    throw error
  }
}

function changeDefaultRoutes(path: string, changes: readonly DefaultRouteChange[]): void {
  using netlink = openNetlink(path)
  for (const { ifName, remove, install } of changes) {
    const linkIndex = netlink.getLink(ifName).index
    for (const version of remove)
      for (const route of netlink.routes(version))
        if (isDefaultThrough(route, linkIndex)) netlink.deleteRoute(route)
    for (const { version, gateway } of install)
      netlink.addRoute(defaultRoute(version, gateway, linkIndex), 'replace')
  }
}

function isDefaultThrough(route: Route, linkIndex: number): boolean {
  return (
    route.table === mainTable &&
    route.destination.prefixBits === 0 &&
    route.nextHops.some((hop) => hop.linkIndex === linkIndex)
  )
}

function defaultRoute(version: IpVersion, gateway: string, linkIndex: number): Route {
  return {
    version,
    table: mainTable,
    destination: parseCidr(version === 4 ? '0.0.0.0/0' : '::/0'),
    nextHops: [{ gateway: parseIp(gateway), linkIndex, isOnLink: false, weight: 1 }],
    metric: 0,
    protocol: bootProtocol,
    scope: 0,
    type: 'unicast',
    flags: 0,
  }
}
