import { claimCases } from './claims.ts'
import { coordinatorCases } from './coordinators.ts'
import { networkCases } from './networks.ts'
import { podCases } from './pods.ts'
import { poolCases } from './pools.ts'
import type { RuleCase } from './rule-case.ts'
import { reservationCases, subnetCases } from './subnets.ts'

/** Every rule of admission, with at least one case that is accepted and one that is refused. */
export const ruleCases: readonly RuleCase[] = [
  ...poolCases,
  ...subnetCases,
  ...reservationCases,
  ...coordinatorCases,
  ...claimCases,
  ...networkCases,
  ...podCases,
]
