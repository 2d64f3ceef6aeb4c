import { formatCidr, formatIp } from '../../address/index.ts'
import type { AllocateRequest, Pod, PodRoute, Route } from '../../api/index.ts'
import type { StepTimes } from '../../base/index.ts'
import type { AddAnswer } from '../../ledger/index.ts'
import type { AllocatorPorts } from './ports.ts'

/** Tells the log and the pod's Events what an ADD got. */
export function reportAddition(
  { logger, events, ledger }: Pick<AllocatorPorts, 'logger' | 'events' | 'ledger'>,
  {
    pod,
    request,
    key,
    steps,
  }: {
    readonly pod: Pod
    readonly request: AllocateRequest
    readonly key: string
    readonly steps: StepTimes
  },
  { addresses, created, hurried }: AddAnswer,
  found: {
    readonly warnings: readonly string[]
    readonly podRoutes: readonly PodRoute[]
    readonly nics: readonly string[]
    /** What is to be told of the addresses of a sticky owner that were replaced. */
    readonly replaced: readonly string[]
  },
): void {
  const { uid = '' } = pod.metadata
  logger.info('addresses allocated', {
    pod: key,
    uid,
    containerId: request.containerId,
    ifName: request.ifName,
    ips: addresses.map(({ ip }) => ip),
    created: created.map(({ ip }) => ip),
    ...steps.fields(),
  })
  for (const warning of found.warnings) events.podEvent(pod, 'Warning', 'PoolIgnored', warning)
  for (const message of found.replaced) events.podEvent(pod, 'Warning', 'StickyAddressReplaced', message)
  for (const { ip, restedMs, isNamed } of hurried) {
    if (isNamed) {
      const message = `address ${ip} was released only ${Math.round(restedMs / 1000)} s ago: it was asked for`
      events.podEvent(pod, 'Warning', 'AddressReusedEarly', message)
      continue
    }
    // One text for all of them: a pool with no address to spare does so for every pod.
    const pool = addresses.find((one) => one.ip === ip)?.entry.pool ?? ''
    const message = 'addresses are given again before their cool-down is over: nothing else is free'
    events.poolEvent(pool, 'Warning', 'AddressReusedEarly', message)
  }
  if (created.length === 0 || request.ifName !== (found.nics.at(-1) ?? request.ifName)) return
  const given = ledger.ofPod(key).flatMap(({ entry }) => entry.grant.routes ?? [])
  for (const { dst, gw } of found.podRoutes) {
    const route: Route = { dst: formatCidr(dst), gw: formatIp(gw) }
    if (given.some((one) => one.dst === route.dst && one.gw === route.gw)) continue
    const message = `route ${route.dst} via ${route.gw} is left out: no address of the pod has that gateway in its subnet`
    events.podEvent(pod, 'Warning', 'RouteIgnored', message)
  }
}
