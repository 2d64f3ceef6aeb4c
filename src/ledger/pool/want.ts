import type { IpVersion, SpiderIpPool } from '../../api/index.ts'

/** One address that is wanted, and the pools to try in order. */
export interface Want {
  readonly nic: string
  readonly version: IpVersion
  readonly pools: readonly SpiderIpPool[]
  /** Canonical texts in order of preference: no other address will do. None is named when absent. */
  readonly ips?: readonly string[]
}
