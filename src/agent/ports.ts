import type {
  AllocateRequest,
  AllocateResponse,
  CheckRequest,
  IpVersion,
  NodeReport,
  NodeReportAnswer,
  ReleaseRequest,
} from '../api/index.ts'

/** The controller's allocator, as the agent asks it. */
export interface Allocator {
  allocate(request: AllocateRequest, signal: AbortSignal): Promise<AllocateResponse>
  release(request: ReleaseRequest, signal: AbortSignal): Promise<unknown>
  check(request: CheckRequest, signal: AbortSignal): Promise<unknown>
  nodeReport(report: NodeReport, signal: AbortSignal): Promise<NodeReportAnswer>
}

/** A default route to take away from, or to put on, an interface. */
export interface DefaultRouteChange {
  readonly ifName: string
  readonly remove: readonly IpVersion[]
  readonly install: readonly { readonly version: IpVersion; readonly gateway: string }[]
}

/** Network namespaces as the agent sees them. */
export interface Namespaces {
  /** What tells one namespace from all others; undefined when nothing, or no namespace, is at `path`. */
  identity(path: string): string | undefined
  /** Identities of the node's namespace and of our own: no pod may be given one of them. */
  hostIdentities(): readonly string[]
  /** Names of the links in the namespace. */
  interfaceNames(path: string): readonly string[]
  /** Takes default routes away and puts others in their place. */
  changeDefaultRoutes(path: string, changes: readonly DefaultRouteChange[]): void
  /** Sees to it that the link has the MAC address. @throws when the kernel refuses it, or there is no such link */
  giveMac(path: string, ifName: string, mac: string): void
}
