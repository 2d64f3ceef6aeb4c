import type { AllocationPolicy, SpiderIpPool } from '../../api/index.ts'

/** How a pool chooses among its free addresses. */
export interface PoolRule {
  readonly policy: AllocationPolicy
  /** A released address is left alone this long, as long as another one is free. */
  readonly coolDownMs: number
}

const coolDownDefaultSeconds = 60

/** What admission would have refused counts as absent: a pool gives addresses all the same. */
export function poolRuleOf({ spec }: Pick<SpiderIpPool, 'spec'>): PoolRule {
  const { allocationPolicy: policy, coolDownSeconds: seconds = coolDownDefaultSeconds } = spec
  const coolDownMs = 1000 * (seconds >= 0 ? seconds : coolDownDefaultSeconds)
  return { policy: policy === 'lowest' || policy === 'random' ? policy : 'leastRecentlyReleased', coolDownMs }
}
