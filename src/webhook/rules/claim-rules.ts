import { formatIp, parseIp } from '../../address/index.ts'
import {
  type ClaimWorkload,
  claimWorkloads,
  compileWildcard,
  crdLimits,
  groupOf,
  isWildcard,
  type SpiderIpClaim,
  spiderFinalizer,
  wildcardLimit,
} from '../../api/index.ts'
import { InvalidInputError } from '../../base/index.ts'
import { attempt, forbidden, invalid, isProblem, type Problem } from '../problem.ts'
import type { WebhookSettings } from '../world.ts'

const macPattern = /^[0-9a-f][02468ace](:[0-9a-f]{2}){5}$/

/** Canonical addresses and MAC, and the finalizer that keeps what is reserved with the claim. */
export function mutateIpClaim(claim: SpiderIpClaim): SpiderIpClaim {
  const { finalizers = [], deletionTimestamp } = claim.metadata
  const hasFinalizer = finalizers.includes(spiderFinalizer) || deletionTimestamp !== undefined
  const { ips, mac } = claim.spec
  return {
    ...claim,
    metadata: hasFinalizer
      ? claim.metadata
      : { ...claim.metadata, finalizers: [...finalizers, spiderFinalizer] },
    spec: {
      ...claim.spec,
      ...(ips === undefined ? {} : { ips: ips.map(canonical) }),
      ...(mac === undefined ? {} : { mac: mac.toLowerCase() }),
    },
  }
}

/** Validation names what is wrong; a mutation never refuses. */
function canonical(text: string): string {
  try {
    return formatIp(parseIp(text))
  } catch (error) {
    if (error instanceof InvalidInputError) return text
    throw error
  }
}

/** Problems of a claim; `old` is absent on create. What the claim gets is the leader's to say, in its status. */
export function ipClaimProblems(
  { spec }: SpiderIpClaim,
  old: SpiderIpClaim | undefined,
  settings: WebhookSettings,
): readonly Problem[] {
  const problems = [
    ...(old === undefined ? [] : fixedProblems(spec, old.spec)),
    ...ipProblems(spec.ips ?? [], settings),
    ...poolProblems(spec.ippools ?? {}),
    ...dnsProblems(spec.dns?.nameservers ?? []),
    ...metadataProblems(spec.metadata ?? {}),
    ...workloadProblems(spec.workload),
  ]
  const { mac } = spec
  if (mac === undefined || (macPattern.test(mac.toLowerCase()) && !/^00(:00){5}$/.test(mac))) return problems
  const hint = 'write six bytes such as 02:00:0a:06:00:01, the first one even'
  return [...problems, invalid('spec.mac', mac, 'is not a unicast MAC address', hint)]
}

function fixedProblems(spec: SpiderIpClaim['spec'], old: SpiderIpClaim['spec']): readonly Problem[] {
  return (['ips', 'ippools'] as const)
    .filter((field) => JSON.stringify(spec[field]) !== JSON.stringify(old[field]))
    .map((field) =>
      forbidden(`spec.${field}`, spec[field], 'cannot change', 'create another claim for other addresses'),
    )
}

function ipProblems(ips: readonly string[], settings: WebhookSettings): readonly Problem[] {
  const seen = new Set<number>()
  return ips.flatMap((text, index): readonly Problem[] => {
    const field = `spec.ips[${index}]`
    const ip = attempt(() => parseIp(text, { field }))
    if (isProblem(ip)) return [ip]
    const isOn = ip.version === 4 ? settings.enableIPv4 : settings.enableIPv6
    const family = `IPv${ip.version}`
    if (!isOn) return [invalid(field, text, `is of ${family}, which is switched off`, 'leave it out')]
    const isSecond = seen.has(ip.version)
    seen.add(ip.version)
    const hint = 'write one IPv4 and one IPv6 address, and another claim for more'
    return isSecond ? [invalid('spec.ips', ips, 'has two addresses of one family', hint)] : []
  })
}

function poolProblems(pools: NonNullable<SpiderIpClaim['spec']['ippools']>): readonly Problem[] {
  const count = [...(pools.ipv4 ?? []), ...(pools.ipv6 ?? [])].filter(isWildcard).length
  if (count > wildcardLimit) {
    const problem = `has ${count} wildcards, more than ${wildcardLimit}`
    const hint = 'write fewer wildcards, or the names of the IPPools'
    return [invalid('spec.ippools', count, problem, hint)]
  }
  return (['ipv4', 'ipv6'] as const).flatMap((family) =>
    (pools[family] ?? []).flatMap((name, index): readonly Problem[] => {
      const field = `spec.ippools.${family}[${index}]`
      if (name === '') return [invalid(field, name, 'is empty', 'write the name of an IPPool, or a wildcard')]
      const compiled = isWildcard(name) ? attempt(() => compileWildcard(name, field)) : undefined
      return isProblem(compiled) ? [compiled] : []
    }),
  )
}

function dnsProblems(servers: readonly string[]): readonly Problem[] {
  return servers.flatMap((text, index) => {
    const ip = attempt(() => parseIp(text, { field: `spec.dns.nameservers[${index}]` }))
    return isProblem(ip) ? [ip] : []
  })
}

function metadataProblems(metadata: Readonly<Record<string, string>>): readonly Problem[] {
  const isLong = (key: string) => key === '' || key.length > crdLimits.metadataKey
  const bad = Object.keys(metadata).find(isLong)
  if (bad === undefined) return []
  const hint = `write keys of 1 to ${crdLimits.metadataKey} characters`
  return [invalid('spec.metadata', bad, 'has a key of a length that is not recorded', hint)]
}

/** Who can never be proven can never use the claim: it would keep its addresses from everybody. The schema knows the kinds. */
function workloadProblems(workload: ClaimWorkload | undefined): readonly Problem[] {
  if (workload === undefined) return []
  const { kind, apiVersion } = workload
  const group = claimWorkloads.find(([known]) => known === kind)?.[1]
  if (group === undefined || groupOf(apiVersion) === group) return []
  const hint = `write ${group === '' ? 'v1' : `${group}/v1`}`
  return [invalid('spec.workload.apiVersion', apiVersion, `is not of the group of a ${kind}`, hint)]
}
