import {
  type Cidr,
  formatCidr,
  type IpSet,
  parseCidr,
  parseRanges,
  rangesOverlap,
} from '../../address/index.ts'
import { type SpiderIpPool, type SpiderSubnet, totalSetOf } from '../../api/index.ts'
import { InvalidInputError, parseJson } from '../../base/index.ts'
import { recordOf } from '../admission-review.ts'
import { attempt, forbidden, invalid, isProblem, type Problem, unreadable } from '../problem.ts'
import { listRanges } from '../rules/network-rules.ts'

// Other objects may have been stored while the webhooks were away: one that cannot be read is passed over.

/** A pool or subnet and the name of its kind. */
export interface Neighbour {
  readonly kind: 'SpiderIPPool' | 'SpiderSubnet'
  readonly object: SpiderIpPool | SpiderSubnet
}

/** P-07, S-04, S-05: networks are equal or apart; between two subnets equal ones are refused too. */
export function networkOverlap(
  cidr: Cidr,
  neighbours: readonly Neighbour[],
  allowsEqual: boolean,
): Problem | undefined {
  for (const { kind, object } of neighbours) {
    const other = attempt(() => parseCidr(object.spec.subnet))
    if (isProblem(other) || !rangesOverlap(cidr, other)) continue
    if (allowsEqual && formatCidr(other) === formatCidr(cidr)) continue
    const problem = `overlaps the network ${formatCidr(other)} of ${kind} "${object.metadata.name}"`
    const hint = allowsEqual
      ? `write ${formatCidr(other)} to share that network, or one that does not overlap it`
      : 'write a network that does not overlap it'
    return invalid('spec.subnet', formatCidr(cidr), problem, hint)
  }
  return undefined
}

/** P-09: addresses belong to one pool. Names both pools and the addresses. */
export function addressOverlap(
  pool: SpiderIpPool,
  total: IpSet,
  others: readonly SpiderIpPool[],
): Problem | undefined {
  for (const other of others) {
    if (other.metadata.name === pool.metadata.name) continue
    const set = attempt(() => totalSetOf(other))
    if (isProblem(set) || set.version !== total.version) continue
    const shared = total.intersect(set)
    if (shared.isEmpty) continue
    const problem =
      `gives SpiderIPPool "${pool.metadata.name}" the addresses ${listRanges(shared.toRanges())}, ` +
      `which SpiderIPPool "${other.metadata.name}" already has`
    const hint = `take them out of spec.ips of one of the two, or put them into its spec.excludeIPs`
    return forbidden('spec.ips', pool.spec.ips, problem, hint)
  }
  return undefined
}

/** What a subnet records of one pool. */
interface RecordedPool {
  readonly ips: IpSet
  /** The application that the system made the pool for. */
  readonly application?: string
}

/** What `status.controlledIPPools` of a subnet records for each pool (spec/api.md §5). */
export function controlledPools(
  subnet: SpiderSubnet,
  version: 4 | 6,
): ReadonlyMap<string, RecordedPool> | Problem {
  const field = 'status.controlledIPPools'
  const text = subnet.status?.controlledIPPools ?? ''
  const pools = new Map<string, RecordedPool>()
  if (text.trim() === '') return pools
  const hint = `let the controller write ${field} of SpiderSubnet "${subnet.metadata.name}" again: remove the field`
  try {
    const parsed = parseJson(text)
    if (typeof parsed !== 'object' || parsed === null) return pools
    for (const [name, record] of Object.entries(parsed)) {
      const { ips, application } = recordOf(record)
      const texts = Array.isArray(ips) ? ips.filter((item): item is string => typeof item === 'string') : []
      const set = parseRanges(texts, version, field)
      pools.set(name, { ips: set, ...(typeof application === 'string' ? { application } : {}) })
    }
    return pools
  } catch (error) {
    if (!(error instanceof SyntaxError) && !(error instanceof InvalidInputError)) throw error
    return unreadable(field, text, `cannot be read: ${error.message}`, hint)
  }
}

/** S-12: the subnet still covers what its pools hold. */
export function uncoveredPool(subnet: SpiderSubnet, total: IpSet): Problem | undefined {
  const pools = controlledPools(subnet, total.version)
  if (isProblem(pools)) return pools
  for (const [name, { ips: held }] of pools) {
    const lost = held.subtract(total)
    if (lost.isEmpty) continue
    const problem = `no longer holds ${listRanges(lost.toRanges())}, which SpiderIPPool "${name}" has`
    return forbidden('spec.ips', subnet.spec.ips, problem, 'keep them, or take them out of that pool first')
  }
  return undefined
}

/** S-06: pools of the identical network own addresses of the subnet alone. */
export function foreignPool(
  subnet: SpiderSubnet,
  total: IpSet,
  pools: readonly SpiderIpPool[],
): Problem | undefined {
  for (const pool of pools) {
    if (pool.spec.subnet !== subnet.spec.subnet) continue
    const held = attempt(() => totalSetOf(pool))
    if (isProblem(held) || held.version !== total.version) continue
    const foreign = held.subtract(total)
    if (foreign.isEmpty) continue
    const problem = `does not hold ${listRanges(foreign.toRanges())}, which SpiderIPPool "${pool.metadata.name}" has`
    return invalid(
      'spec.ips',
      subnet.spec.ips,
      problem,
      'add them to spec.ips, or take them out of that pool',
    )
  }
  return undefined
}
