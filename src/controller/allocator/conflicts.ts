import { formatIp, tryParseIp } from '../../address/index.ts'
import type { AddressConflict, AllocateRequest, IpVersion, Pod, Quarantine } from '../../api/index.ts'
import type { Counter, Metrics } from '../../base/index.ts'
import {
  attachmentsOf,
  isUsedBy,
  type OwnedAddress,
  QuarantineFullError,
  type SandboxNic,
} from '../../ledger/index.ts'
import type { AllocatorPorts } from './ports.ts'
import type { ConflictOutcome } from './world.ts'

/** Counts what became of the conflicts that agents reported. */
export function conflictCounter(metrics: Metrics): Counter<ConflictOutcome> {
  return metrics.counter<ConflictOutcome>({
    name: 'spiderpool_controller_address_conflicts_total',
    help: 'Addresses that agents reported as used by somebody else, by what became of them',
    label: 'outcome',
    labels: ['quarantined', 'repeated', 'ignored', 'refused'],
  })
}

interface Reporter {
  readonly pod: Pod
  /** The caller's, from its token. */
  readonly node: string
  readonly request: AllocateRequest
  /** Whether another pod of the owner uses the address: then that one may be who answers. */
  readonly isShared?: ((address: OwnedAddress) => boolean) | undefined
}

/**
 * Quarantines the addresses that the agent found in use by somebody else. Only those that this very sandbox of this pod holds on
 * the caller's node are touched: what an agent says of others is logged and ignored. Safe to repeat.
 * @returns the families of which the NIC lost an address that way, now or when it was asked before
 * @throws {QuarantineFullError} when the node has reported more than can be true
 */
export async function quarantineConflicts(
  ports: AllocatorPorts,
  reporter: Reporter,
  signal: AbortSignal,
): Promise<readonly IpVersion[]> {
  const { ledger } = ports
  const { pod, node, request } = reporter
  for (const conflict of request.conflicts ?? []) await quarantineOne(ports, reporter, conflict, signal)
  // From the durable records: the call that took the address may have ended before it took another.
  const key = podKey(pod)
  const lost = ledger
    .quarantinedBy(node)
    .filter(({ record }) => record.pod === key && record.nic === request.ifName)
  return lost.map(({ ip }) => (ip.includes(':') ? 6 : 4))
}

async function quarantineOne(
  { ledger, events, logger }: AllocatorPorts,
  { pod, node, request, isShared }: Reporter,
  { ip: text, mac: macText }: AddressConflict,
  signal: AbortSignal,
): Promise<void> {
  const address = tryParseIp(text)
  const ip = address === undefined ? text : formatIp(address)
  const mac = macText?.toLowerCase()
  const { containerId, ifName } = request
  const key = podKey(pod)
  const fields = { ip, mac, pod: key, uid: pod.metadata.uid, node, containerId, ifName }
  if (isSameReport(ledger.quarantineOf(ip), { pod: key, nic: ifName, node })) {
    events.conflict('repeated')
    return
  }
  const sandbox: SandboxNic = { containerId, ifName, node }
  const held = ledger.ofContainer(containerId, ifName).find((one) => one.ip === ip)
  if (held === undefined || !isOfPod(held, sandbox, pod) || isShared?.(held) === true) {
    events.conflict('ignored')
    logger.warn('reported conflict ignored: the sandbox does not hold the address, or not alone', fields)
    return
  }
  try {
    const report = { sandbox, pod: key, ...(mac === undefined ? {} : { mac }) }
    const record = await ledger.quarantine(held, report, signal)
    events.conflict(record === undefined ? 'ignored' : 'quarantined')
    if (record === undefined) {
      logger.warn('reported conflict ignored: another sandbox or record has the address, too', fields)
      return
    }
    logger.warn('address quarantined: somebody else uses it', { ...fields, until: record.until })
    const message = eventText(ip, record)
    events.podEvent(pod, 'Warning', 'AddressConflict', message)
    events.poolEvent(held.entry.pool, 'Warning', 'AddressConflict', message)
  } catch (error) {
    if (error instanceof QuarantineFullError) events.conflict('refused')
    throw error
  }
}

/** The sandbox of the pod has the address. The entry of a virtual machine bears another name than its pods. */
function isOfPod({ entry }: OwnedAddress, sandbox: SandboxNic, { metadata }: Pod): boolean {
  const { containerId, node } = sandbox
  const mine = attachmentsOf(entry).find((one) => one.containerId === containerId && one.node === node)
  return isUsedBy(entry, sandbox) && (mine?.podUid ?? entry.podUid) === metadata.uid
}

function isSameReport(
  record: Quarantine | undefined,
  { pod, nic, node }: Pick<Quarantine, 'pod' | 'nic' | 'node'>,
): boolean {
  return record?.pod === pod && record.nic === nic && record.node === node
}

function eventText(ip: string, { mac, since, until, pod, nic }: Quarantine): string {
  const time = (ms: number) => new Date(ms).toISOString()
  const party = mac === undefined ? 'another party' : `MAC ${mac}`
  return (
    `address ${ip}, given to NIC ${nic} of pod ${pod}, is in use by ${party} since ${time(since)} at least: ` +
    `it is given to nobody until ${time(until)}`
  )
}

const podKey = ({ metadata }: Pod): string => `${metadata.namespace ?? ''}/${metadata.name}`
