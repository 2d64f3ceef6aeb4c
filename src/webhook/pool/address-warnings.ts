import { formatIpValue, parseCidr } from '../../address/index.ts'
import { type SpiderIpPool, totalSetOf } from '../../api/index.ts'
import { attempt, isProblem } from '../problem.ts'

/** From here on a network has no addresses of its own and for all (RFC 3021). */
const pointToPointBits = 31

/** What is allowed in the addresses of a pool, and hardly meant. */
export function addressWarnings(pool: SpiderIpPool): readonly string[] {
  const total = attempt(() => totalSetOf(pool))
  const cidr = attempt(() => parseCidr(pool.spec.subnet))
  if (isProblem(total) || isProblem(cidr)) return []
  if (total.isEmpty) return ['spec.ips less spec.excludeIPs is empty: pods get no address from this pool']
  if (cidr.version !== 4 || cidr.prefixBits >= pointToPointBits) return []
  const ends = [
    ['network', cidr.first],
    ['broadcast', cidr.last],
  ] as const
  return ends.flatMap(([what, value]) => {
    if (!total.hasValue(value)) return []
    const ip = formatIpValue(value)
    return [`spec.ips has ${ip}, the ${what} address of ${pool.spec.subnet}: add it to spec.excludeIPs`]
  })
}
