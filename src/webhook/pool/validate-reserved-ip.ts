import { parseIp, parseRange, parseRanges } from '../../address/index.ts'
import type { SpiderReservedIp } from '../../api/index.ts'
import { attempt, forbidden, isProblem, type Problem } from '../problem.ts'
import { versionProblem } from '../rules/network-rules.ts'
import type { UsedIp, WebhookWorld } from '../world.ts'

/** Problems of a reservation (§5); `old` is absent on create. */
export function reservedIpProblems(
  reserved: SpiderReservedIp,
  old: SpiderReservedIp | undefined,
  world: WebhookWorld,
): readonly Problem[] {
  const { ipVersion, ips = [] } = reserved.spec
  const stored = old?.spec.ipVersion
  if (stored !== undefined && stored !== ipVersion) {
    const hint = 'create another object for the other family'
    return [forbidden('spec.ipVersion', ipVersion, `cannot change from ${stored}`, hint)]
  }
  const version = versionProblem(ipVersion, world.settings, 'the first entry of spec.ips')
  if (version !== undefined || ipVersion === undefined) return version === undefined ? [] : [version]
  for (const [i, text] of ips.entries()) {
    const range = attempt(() => parseRange(text, { field: `spec.ips[${i}]`, version: ipVersion }))
    if (isProblem(range)) return [range]
  }
  return []
}

/** Reserving what a pod has takes nothing from it; that is said, as it is easily taken for the opposite. */
export function reservationWarnings(
  { spec }: SpiderReservedIp,
  usedIps: readonly UsedIp[],
): readonly string[] {
  const { ipVersion, ips = [] } = spec
  const reserved = ipVersion === undefined ? undefined : attempt(() => parseRanges(ips, ipVersion))
  if (reserved === undefined || isProblem(reserved)) return []
  const used = usedIps.filter(({ ip }) => reserved.has(parseIp(ip)))
  const [first] = used
  if (first === undefined) return []
  const more = used.length > 1 ? ` and ${used.length - 1} more are` : ' is'
  return [
    `spec.ips: ${first.ip} of ${first.holder}${more} in use, and stay so until those pods and claims are gone`,
  ]
}
