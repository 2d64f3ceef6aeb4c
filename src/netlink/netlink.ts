import { formatCidr, formatIp, type IpVersion } from '../address/index.ts'
import {
  decodeAddress,
  encodeAddress,
  encodeAddressQuery,
  type LinkAddress,
  RTM_DELADDR,
  RTM_GETADDR,
  RTM_NEWADDR,
} from './codec/address.ts'
import {
  decodeLink,
  encodeLink,
  encodeLinkQuery,
  type Link,
  type LinkChange,
  type LinkKind,
  RTM_DELLINK,
  RTM_GETLINK,
  RTM_NEWLINK,
} from './codec/link.ts'
import { NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE } from './codec/message.ts'
import {
  decodeNeighbour,
  encodeNeighbour,
  encodeNeighbourQuery,
  type Neighbour,
  RTM_DELNEIGH,
  RTM_GETNEIGH,
  RTM_NEWNEIGH,
} from './codec/neighbour.ts'
import {
  decodeRoute,
  encodeRoute,
  encodeRouteQuery,
  type Route,
  RTM_DELROUTE,
  RTM_F_CLONED,
  RTM_GETROUTE,
  RTM_NEWROUTE,
} from './codec/route.ts'
import {
  decodeRule,
  encodeRule,
  encodeRuleQuery,
  RTM_DELRULE,
  RTM_GETRULE,
  RTM_NEWRULE,
  type Rule,
} from './codec/rule.ts'
import { withNamespace } from './namespace.ts'
import { isAway, NetlinkError } from './netlink-error.ts'
import { NetlinkSocket } from './netlink-socket.ts'

/** What to do when the object is there already: refuse with EEXIST, or put the new one in its place. */
export type IfThere = 'refuse' | 'replace' | 'append'
const flagsOf = {
  refuse: NLM_F_CREATE | NLM_F_EXCL,
  replace: NLM_F_CREATE | NLM_F_REPLACE,
  append: NLM_F_CREATE | NLM_F_APPEND,
}

/**
 * Links, addresses, routes, neighbours and rules of one network namespace. All calls are synchronous and answered by
 * the kernel at once; each throws a `NetlinkError` when refused.
 */
export class Netlink implements Disposable {
  readonly #socket: NetlinkSocket

  constructor(socket: NetlinkSocket) {
    this.#socket = socket
  }

  links(): readonly Link[] {
    return this.#socket.dump('list links', RTM_GETLINK, encodeLinkQuery()).map(decodeLink)
  }

  /** @returns undefined when no link has the name or index */
  findLink(which: string | number): Link | undefined {
    const query = encodeLinkQuery(typeof which === 'string' ? { name: which } : { index: which })
    try {
      return decodeLink(this.#socket.get(`find link "${which}"`, RTM_GETLINK, query))
    } catch (error) {
      if (isAway(error)) return undefined
      throw error
    }
  }

  /** @throws {NetlinkError} ENODEV when no link has the name or index */
  getLink(which: string | number): Link {
    const ENODEV = 19
    const link = this.findLink(which)
    if (link === undefined) throw new NetlinkError(`find link "${which}"`, ENODEV)
    return link
  }

  addLink(kind: LinkKind, options: LinkChange & { readonly name: string }): void {
    const action = `add ${kind.kind} link "${options.name}"`
    this.#socket.change(action, RTM_NEWLINK, flagsOf.refuse, encodeLink(0, options, kind))
  }

  changeLink(index: number, change: LinkChange): void {
    this.#socket.change(`change link ${index}`, RTM_NEWLINK, 0, encodeLink(index, change))
  }

  /** @returns false when it was not there */
  deleteLink(index: number): boolean {
    return this.#delete(`delete link ${index}`, RTM_DELLINK, encodeLink(index, {}))
  }

  /** Of one family and one link, or of all. */
  addresses(
    which: { readonly version?: IpVersion; readonly linkIndex?: number } = {},
  ): readonly LinkAddress[] {
    const query = encodeAddressQuery(which.version, which.linkIndex)
    try {
      return this.#socket.dump('list addresses', RTM_GETADDR, query).map(decodeAddress)
    } catch (error) {
      if (isAway(error)) return [] // the link is gone, and its addresses with it
      throw error
    }
  }

  addAddress(address: LinkAddress, ifThere: IfThere = 'refuse'): void {
    const action = `add address ${formatIp(address.ip)}/${address.prefixBits} to link ${address.linkIndex}`
    this.#socket.change(action, RTM_NEWADDR, flagsOf[ifThere], encodeAddress(address))
  }

  /** @returns false when it was not there */
  deleteAddress(address: LinkAddress): boolean {
    const action = `delete address ${formatIp(address.ip)}/${address.prefixBits} of link ${address.linkIndex}`
    return this.#delete(action, RTM_DELADDR, encodeAddress(address))
  }

  /** All tables; without the entries that the kernel caches. */
  routes(version?: IpVersion): readonly Route[] {
    const routes = this.#socket.dump('list routes', RTM_GETROUTE, encodeRouteQuery(version)).map(decodeRoute)
    return routes.filter((route) => route !== undefined).filter((route) => (route.flags & RTM_F_CLONED) === 0)
  }

  addRoute(route: Route, ifThere: IfThere = 'refuse'): void {
    const action = `add route to ${formatCidr(route.destination)} in table ${route.table}`
    this.#socket.change(action, RTM_NEWROUTE, flagsOf[ifThere], encodeRoute(route))
  }

  /** @returns false when it was not there */
  deleteRoute(route: Route): boolean {
    const action = `delete route to ${formatCidr(route.destination)} in table ${route.table}`
    return this.#delete(action, RTM_DELROUTE, encodeRoute(route))
  }

  neighbours(version?: IpVersion): readonly Neighbour[] {
    const found = this.#socket.dump('list neighbours', RTM_GETNEIGH, encodeNeighbourQuery(version))
    return found.map(decodeNeighbour).filter((neighbour) => neighbour !== undefined)
  }

  addNeighbour(neighbour: Neighbour, ifThere: IfThere = 'replace'): void {
    const action = `add neighbour ${formatIp(neighbour.ip)} on link ${neighbour.linkIndex}`
    this.#socket.change(action, RTM_NEWNEIGH, flagsOf[ifThere], encodeNeighbour(neighbour))
  }

  /** @returns false when it was not there */
  deleteNeighbour(neighbour: Neighbour): boolean {
    const action = `delete neighbour ${formatIp(neighbour.ip)} on link ${neighbour.linkIndex}`
    return this.#delete(action, RTM_DELNEIGH, encodeNeighbour(neighbour))
  }

  rules(version?: IpVersion): readonly Rule[] {
    const found = this.#socket.dump('list rules', RTM_GETRULE, encodeRuleQuery(version))
    return found.map(decodeRule).filter((rule) => rule !== undefined)
  }

  addRule(rule: Rule): void {
    const action = `add rule ${rule.priority} for table ${rule.table}`
    this.#socket.change(action, RTM_NEWRULE, flagsOf.refuse, encodeRule(rule))
  }

  /** @returns false when it was not there */
  deleteRule(rule: Rule): boolean {
    const action = `delete rule ${rule.priority} for table ${rule.table}`
    return this.#delete(action, RTM_DELRULE, encodeRule(rule))
  }

  #delete(action: string, type: number, payload: Uint8Array): boolean {
    try {
      this.#socket.change(action, type, 0, payload)
      return true
    } catch (error) {
      if (isAway(error)) return false
      throw error
    }
  }

  close(): void {
    this.#socket.close()
  }

  [Symbol.dispose](): void {
    this.close()
  }
}

/**
 * Opens the kernel's tables of a network namespace; of the one this process is in when no path is given. To be closed
 * (`using`). `prepareNamespaces()` must have been awaited before a path is given.
 * @throws {SystemCallError} when the namespace cannot be entered
 */
export function openNetlink(netnsPath?: string): Netlink {
  const open = (): NetlinkSocket => NetlinkSocket.open()
  return new Netlink(netnsPath === undefined ? open() : withNamespace(netnsPath, open))
}
