import { formatCidr, type IpSet, parseCidr } from '../../address/index.ts'
import type { PoolCondition, SpiderIpPool } from '../../api/index.ts'
import { holderOf } from '../../api/index.ts'
import { poolRuleOf, type Reserved, versionOf } from '../../ledger/index.ts'
import { formatFields } from '../output.ts'
import { formatTable } from '../table.ts'
import {
  type Count,
  exactCount,
  type PoolSets,
  problemOf,
  type Records,
  setsOfPool,
  topOf,
} from './pool-usage.ts'

const kinds = [
  'used',
  'free',
  'resting',
  'quarantined',
  'reserved',
  'excluded',
  'gateway',
  'outside',
] as const
type Kind = (typeof kinds)[number]

/** What `pool show` says of one pool; the JSON shape, see docs/spiderpoolctl.md. */
export interface PoolView {
  readonly name: string
  readonly version: 4 | 6
  readonly subnet: string
  readonly gateway?: string
  readonly isDefault: boolean
  readonly isDisabled: boolean
  readonly isDeleted: boolean
  readonly policy: {
    readonly allocationPolicy: string
    readonly coolDownSeconds: number
    readonly stickyPolicy: string
  }
  /** Addresses of spec.ips; `outside` come on top. */
  readonly counts: Readonly<Record<'total' | Kind, number | bigint>>
  /** Canonical ranges. */
  readonly ranges: Readonly<Record<Kind, readonly string[]>>
  readonly topNamespaces: readonly Count[]
  readonly topNodes: readonly Count[]
  readonly conditions: readonly PoolCondition[]
  /** Why the pool gives nothing: its spec cannot be read. */
  readonly problem?: string
}

const topCount = 10

export function viewPool(
  pool: SpiderIpPool,
  {
    reserved,
    records,
    nowMs,
  }: { readonly reserved: Reserved; readonly records: Records; readonly nowMs: number },
): PoolView {
  const { metadata, spec, status } = pool
  const { policy, coolDownMs } = poolRuleOf(pool)
  const own = records.byPool.get(metadata.name) ?? []
  const sets = trySets(() => setsOfPool(pool, reserved, records, nowMs))
  const known = typeof sets === 'string' ? undefined : sets
  const perKind = <T>(make: (set: IpSet | undefined) => T) =>
    Object.fromEntries(kinds.map((kind) => [kind, make(known?.[kind])])) as Record<Kind, T>
  return {
    name: metadata.name,
    version: versionOf(pool),
    subnet: subnetText(pool),
    ...(spec.gateway === undefined || spec.gateway === '' ? {} : { gateway: spec.gateway }),
    isDefault: spec.default === true,
    isDisabled: spec.disable === true,
    isDeleted: metadata.deletionTimestamp !== undefined,
    policy: {
      allocationPolicy: policy,
      coolDownSeconds: coolDownMs / 1_000,
      stickyPolicy: spec.stickyPolicy ?? 'replace',
    },
    counts: { total: exactCount(known?.total.size ?? 0n), ...perKind((set) => exactCount(set?.size ?? 0n)) },
    ranges: perKind((set) => set?.toRanges() ?? []),
    topNamespaces: topOf(
      own.map((one) => holderOf(one).pod.split('/')[0] ?? ''),
      topCount,
    ),
    topNodes: topOf(
      own.flatMap(({ node }) => (node === '' ? [] : [node])),
      topCount,
    ),
    conditions: status?.conditions ?? [],
    ...(typeof sets === 'string' ? { problem: sets } : {}),
  }
}

function trySets(make: () => PoolSets): PoolSets | string {
  try {
    return make()
  } catch (error) {
    return problemOf(error)
  }
}

function subnetText({ spec }: SpiderIpPool): string {
  try {
    return formatCidr(parseCidr(spec.subnet))
  } catch {
    return spec.subnet // as it is written: `problem` says what is wrong with it
  }
}

/** All pools, one line each. */
export function poolsLines(pools: readonly PoolView[]): readonly string[] {
  if (pools.length === 0) return ['There are no pools.']
  const header = ['NAME', 'VERSION', 'SUBNET', 'TOTAL', 'USED', 'FREE', 'RESTING', 'KEPT', 'STATE']
  const rows = pools.map((pool) => {
    const { counts } = pool
    const kept =
      BigInt(counts.reserved) + BigInt(counts.excluded) + BigInt(counts.quarantined) + BigInt(counts.gateway)
    return [
      ...[pool.name, String(pool.version), pool.subnet],
      ...[counts.total, counts.used, counts.free, counts.resting, kept].map(String),
      stateText(pool),
    ]
  })
  return formatTable(header, rows)
}

function stateText({ isDefault, isDisabled, isDeleted, problem, conditions }: PoolView): string {
  const failing = conditions.filter(({ status }) => status === 'False').map(({ type }) => `not ${type}`)
  const states = [
    ...(isDefault ? ['default'] : []),
    ...(isDisabled ? ['disabled'] : []),
    ...(isDeleted ? ['deleted'] : []),
    ...(problem === undefined ? [] : ['unreadable']),
    ...failing,
  ]
  return states.length === 0 ? '-' : states.join(', ')
}

const shownRanges = 16
const meanings: Readonly<Record<Kind, string>> = {
  used: 'Used',
  free: 'Free',
  resting: 'Resting',
  quarantined: 'Quarantined',
  reserved: 'Reserved',
  excluded: 'Excluded',
  gateway: 'Gateway',
  outside: 'Outside spec.ips',
}

/** One pool with its ranges. */
export function poolLines(pool: PoolView): readonly string[] {
  const { counts, ranges, policy, conditions, problem, topNamespaces, topNodes } = pool
  const shown = kinds.filter((kind) => kind === 'used' || kind === 'free' || counts[kind] > 0)
  return formatFields([
    ['Pool', `${pool.name} (IPv${pool.version} ${pool.subnet})`],
    ['State', stateText(pool)],
    ...(problem === undefined ? [] : ([['Problem', problem]] as const)),
    [
      'Policy',
      `${policy.allocationPolicy}, cool-down ${policy.coolDownSeconds} s, sticky: ${policy.stickyPolicy}`,
    ],
    ['Total', String(counts.total)],
    ...shown.map((kind) => [meanings[kind], rangesText(counts[kind], ranges[kind])] as const),
    ...(topNamespaces.length === 0 ? [] : ([['By namespace', topNamespaces.map(countText)]] as const)),
    ...(topNodes.length === 0 ? [] : ([['By node', topNodes.map(countText)]] as const)),
    ...conditions.map(
      ({ type, status, message }) => ['Condition', `${type} is ${status}: ${message}`] as const,
    ),
  ])
}

const countText = ({ name, count }: Count): string => `${count} ${name}`

function rangesText(count: number | bigint, ranges: readonly string[]): string {
  if (ranges.length === 0) return String(count)
  const more =
    ranges.length > shownRanges ? `, and ${ranges.length - shownRanges} more ranges (-o json has all)` : ''
  return `${count}: ${ranges.slice(0, shownRanges).join(', ')}${more}`
}
