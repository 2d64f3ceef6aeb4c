import { IpSet, parseIp } from '../../address/index.ts'
import {
  applicationKeys,
  controllerOf,
  isEmptySelector,
  labelKeys,
  requirePoolAttributes,
  type SpiderIpPool,
  selectorErrors,
  spiderGroup,
  totalSetOf,
} from '../../api/index.ts'
import { attempt, forbidden, invalid, isProblem, type Problem, unreadable } from '../problem.ts'
import {
  contentProblem,
  immutableProblem,
  listRanges,
  networkOf,
  versionProblem,
} from '../rules/network-rules.ts'
import type { WebhookWorld } from '../world.ts'
import { addressOverlap, controlledPools, networkOverlap } from './other-objects.ts'

const applicationLabels: ReadonlySet<string> = new Set(Object.values(applicationKeys))

/** Problems of a pool that is created (spec/webhooks.md §3.2; the name is the caller's to check). */
export function poolProblemsOnCreate(pool: SpiderIpPool, world: WebhookWorld): readonly Problem[] {
  const version = versionProblem(pool.spec.ipVersion, world.settings, 'spec.subnet')
  if (version !== undefined) return [version]
  const cidr = networkOf(pool.spec)
  if (isProblem(cidr)) return [cidr]
  const others = world.pools.filter(({ metadata }) => metadata.name !== pool.metadata.name)
  const neighbours = others.map((object) => ({ kind: 'SpiderIPPool' as const, object }))
  const overlap = networkOverlap(cidr, neighbours, true)
  return overlap === undefined ? contentProblems(pool, world) : [overlap]
}

/** Problems of a pool that is changed (§3.3). */
export function poolProblemsOnUpdate(
  pool: SpiderIpPool,
  old: SpiderIpPool,
  world: WebhookWorld,
): readonly Problem[] {
  const first =
    immutableProblem(pool.spec, old.spec) ??
    versionProblem(pool.spec.ipVersion, world.settings, 'spec.subnet')
  return first === undefined ? contentProblems(pool, world) : [first]
}

/** P-08 to P-21, and P-23, which can only fail on update: a new pool has no addresses in use. */
function contentProblems(pool: SpiderIpPool, world: WebhookWorld): readonly Problem[] {
  const cidr = networkOf(pool.spec)
  if (isProblem(cidr)) return [cidr]
  const content = contentProblem(pool.spec, cidr)
  const total = content ?? attempt(() => totalSetOf(pool))
  const overlap = isProblem(total) ? total : addressOverlap(pool, total, world.pools)
  const attributes = attempt(() => requirePoolAttributes(pool.spec))
  const problems = [
    ...(overlap === undefined ? [] : [overlap]),
    ...affinityProblems(pool),
    ...(isProblem(attributes) ? [attributes] : []),
  ]
  if (problems.length > 0 || isProblem(total)) return problems
  const last = usedProblem(pool, total, world) ?? subnetProblem(pool, total, world)
  return last === undefined ? [] : [last]
}

/** P-16 to P-18, and the same syntax for the selectors of namespaces and nodes: else a pod would be the first to notice. */
function affinityProblems(pool: SpiderIpPool): readonly Problem[] {
  const { podAffinity, namespaceAffinity, nodeAffinity } = pool.spec
  const problems: Problem[] = []
  const field = 'spec.podAffinity'
  if (podAffinity !== undefined) {
    // The label that makes a pool an auto-created one is anybody's to write: it adds a rule, and takes none away.
    if (isAutoCreated(pool)) problems.push(...applicationProblems(pool))
    if (isEmptySelector(podAffinity)) {
      const hint = 'write matchLabels or matchExpressions, or leave podAffinity out for all pods'
      problems.push(invalid(field, podAffinity, 'selects nothing: it is empty', hint))
    }
    problems.push(...selectorProblems(podAffinity, field))
  }
  problems.push(...selectorProblems(namespaceAffinity ?? {}, 'spec.namespaceAffinity'))
  problems.push(...selectorProblems(nodeAffinity ?? {}, 'spec.nodeAffinity'))
  return problems
}

function selectorProblems(...parts: Parameters<typeof selectorErrors>): readonly Problem[] {
  return selectorErrors(...parts).map((error) => ({ type: 'FieldValueInvalid', error }))
}

function applicationProblems({ spec: { podAffinity = {} } }: SpiderIpPool): readonly Problem[] {
  const foreign = Object.keys(podAffinity.matchLabels ?? {}).filter((key) => !applicationLabels.has(key))
  const hint = `keep the ${applicationLabels.size} labels of the application alone: the system made this pool`
  if (foreign.length > 0) {
    return [invalid('spec.podAffinity', foreign, 'has additional match labels', hint)]
  }
  if ((podAffinity.matchExpressions ?? []).length === 0) return []
  return [invalid('spec.podAffinity', podAffinity.matchExpressions, 'has match expressions', hint)]
}

function isAutoCreated(pool: SpiderIpPool): boolean {
  return pool.metadata.labels?.[labelKeys.ownerApplicationName] !== undefined
}

/** P-23: names the address and its holder. */
function usedProblem(pool: SpiderIpPool, total: IpSet, world: WebhookWorld): Problem | undefined {
  const cut = world.usedIps.filter(({ ip }) => !total.has(parseIp(ip)))
  const first = cut[0]
  if (first === undefined) return undefined
  const more = cut.length > 1 ? ` (and ${cut.length - 1} more addresses in use)` : ''
  const problem = `no longer holds ${first.ip}, which ${first.holder} uses${more}`
  return forbidden('spec.ips', pool.spec.ips, problem, 'keep the address, or delete that one first')
}

/** P-19 to P-21: an owned pool draws from its subnet. */
function subnetProblem(pool: SpiderIpPool, total: IpSet, world: WebhookWorld): Problem | undefined {
  const owner = controllerOf(pool.metadata)
  const isOurs = owner?.kind === 'SpiderSubnet' && owner.apiVersion.startsWith(`${spiderGroup}/`)
  if (owner === undefined || !isOurs || !world.settings.enableSpiderSubnet) return undefined
  const subnet = world.subnets.find(({ metadata }) => metadata.name === owner.name)
  if (subnet === undefined) {
    const problem = `belongs to SpiderSubnet "${owner.name}", which does not exist`
    return unreadable(
      'spec.subnet',
      pool.spec.subnet,
      problem,
      'create that subnet, or remove the owner reference',
    )
  }
  const offered = attempt(() => totalSetOf(subnet))
  if (isProblem(offered)) return offered
  const foreign = total.subtract(offered)
  if (!foreign.isEmpty) {
    const problem = `has ${listRanges(foreign.toRanges())}, which SpiderSubnet "${owner.name}" does not offer`
    return forbidden(
      'spec.ips',
      pool.spec.ips,
      problem,
      'take them out, or add them to spec.ips of that subnet',
    )
  }
  const recorded = controlledPools(subnet, total.version)
  if (isProblem(recorded)) return isAutoCreated(pool) ? recorded : undefined
  const { ips: share, application } = recorded.get(pool.metadata.name) ?? { ips: IpSet.empty(total.version) }
  // The record of the subnet is the system's; the label can be taken away by anybody.
  const isManual = !isAutoCreated(pool) && application === undefined
  if (isManual || share.equals(total)) return undefined
  const problem = `differs from ${listRanges(share.toRanges()) || 'nothing'}, the share that SpiderSubnet "${owner.name}" records`
  return forbidden('spec.ips', pool.spec.ips, problem, 'leave spec.ips to the system: it made this pool')
}
