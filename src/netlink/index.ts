/**
 * The kernel's network tables, and the namespaces they are in. Types to know: `Netlink`, `Link`, `Route`. Codecs are pure;
 * everything else is a synchronous system call. Programs that must run inside a namespace start from here too. This room
 * never decides what should be there.
 */
export { type Child, type ChildEnd, type ChildOptions, startChild } from './child.ts'
export type { LinkAddress } from './codec/address.ts'
export {
  IFA_F_DADFAILED,
  IFA_F_NODAD,
  IFA_F_NOPREFIXROUTE,
  IFA_F_PERMANENT,
  IFA_F_TENTATIVE,
} from './codec/address.ts'
export type { IpvlanMode, Link, LinkChange, LinkKind, MacvlanMode } from './codec/link.ts'
export { MalformedReplyError } from './codec/malformed-reply-error.ts'
export type { Neighbour } from './codec/neighbour.ts'
export { NUD_FAILED, NUD_PERMANENT, NUD_REACHABLE, NUD_STALE } from './codec/neighbour.ts'
export type { NextHop, Route, RouteType } from './codec/route.ts'
export type { Rule } from './codec/rule.ts'
export { listMounts, unmount } from './mount.ts'
export {
  assertHostThreads,
  isNamespace,
  namespaceIdentity,
  type OpenNamespace,
  openNamespace,
  prepareNamespaces,
  withNamespace,
  writeNamespaceSetting,
} from './namespace.ts'
export { type IfThere, Netlink, openNetlink } from './netlink.ts'
export { isAlreadyThere, isAway, NetlinkError } from './netlink-error.ts'
export { SystemCallError } from './system-call-error.ts'
