import { type SpiderSubnet, totalSetOf } from '../../api/index.ts'
import { attempt, isProblem, type Problem } from '../problem.ts'
import { contentProblem, immutableProblem, networkOf, versionProblem } from '../rules/network-rules.ts'
import type { WebhookWorld } from '../world.ts'
import { foreignPool, networkOverlap, uncoveredPool } from './other-objects.ts'

/** Problems of a subnet that is created (spec/webhooks.md §4; the name is the caller's to check). */
export function subnetProblemsOnCreate(subnet: SpiderSubnet, world: WebhookWorld): readonly Problem[] {
  const version = versionProblem(subnet.spec.ipVersion, world.settings, 'spec.subnet')
  if (version !== undefined) return [version]
  const cidr = networkOf(subnet.spec)
  if (isProblem(cidr)) return [cidr]
  const others = world.subnets.filter(({ metadata }) => metadata.name !== subnet.metadata.name)
  const subnets = others.map((object) => ({ kind: 'SpiderSubnet' as const, object }))
  const pools = world.pools.map((object) => ({ kind: 'SpiderIPPool' as const, object }))
  const problem =
    networkOverlap(cidr, subnets, false) ??
    networkOverlap(cidr, pools, true) ??
    contentProblem(subnet.spec, cidr)
  if (problem !== undefined) return [problem]
  const total = attempt(() => totalSetOf(subnet))
  const foreign = isProblem(total) ? total : foreignPool(subnet, total, world.pools)
  return foreign === undefined ? [] : [foreign]
}

/** Problems of a subnet that is changed. */
export function subnetProblemsOnUpdate(
  subnet: SpiderSubnet,
  old: SpiderSubnet,
  world: WebhookWorld,
): readonly Problem[] {
  const first =
    immutableProblem(subnet.spec, old.spec) ??
    versionProblem(subnet.spec.ipVersion, world.settings, 'spec.subnet')
  if (first !== undefined) return [first]
  const cidr = networkOf(subnet.spec)
  if (isProblem(cidr)) return [cidr]
  const content = contentProblem(subnet.spec, cidr)
  if (content !== undefined) return [content]
  const total = attempt(() => totalSetOf(subnet))
  // The record is the system's, so it is read from the stored object.
  const status = old.status === undefined ? {} : { status: old.status }
  const last = isProblem(total) ? total : uncoveredPool({ ...subnet, ...status }, total)
  return last === undefined ? [] : [last]
}
