import {
  type BlockEntry,
  isAlive,
  isMachineEntry,
  type Pod,
  resources,
  type SpiderIpPool,
  spiderGroup,
  spiderVersion,
} from '../../api/index.ts'
import type { Logger } from '../../base/index.ts'
import type { EventRecorder, KubeApi, ObjectRef } from '../../kube/index.ts'
import { claimsOf, type Ledger } from '../../ledger/index.ts'
import { machineFinding } from './machine-finding.ts'
import { findingOf, planReclaim } from './plan-reclaim.ts'

/** How often a contested address is looked at again; the Event is repeated with it. */
const recheckMs = 60_000
/** While the owner is gone: the reclaimer is about to pass the address on. */
const ownerRecheckMs = 2_000

export interface ClaimResolverPorts {
  readonly api: Pick<KubeApi, 'get' | 'listAll'>
  readonly ledger: Pick<Ledger, 'entry' | 'withdraw'>
  readonly events: EventRecorder
  readonly logger: Logger
  /** From the cache; it may only nominate. */
  findPod(ref: ObjectRef): Pod | undefined
  findPool(name: string): SpiderIpPool | undefined
  /** Uncached: does the replica of a sticky owner still belong to its workload? */
  isReplicaValid(entry: BlockEntry, signal: AbortSignal): Promise<boolean>
}

/**
 * Works on addresses that are recorded for several pods. A claim whose pod is gone is withdrawn; what is left when all but
 * one are gone has an owner again. As long as several live, an Event on the pool and on each of the pods names them all.
 */
export class ClaimResolver {
  readonly #ports: ClaimResolverPorts

  constructor(ports: ClaimResolverPorts) {
    this.#ports = ports
  }

  /** @returns milliseconds after which to look again, while the address is contested */
  async reconcile(ip: string, signal: AbortSignal): Promise<number | undefined> {
    const { ledger, logger } = this.#ports
    const entry = ledger.entry(ip)
    if (entry === undefined) return undefined
    const living: BlockEntry[] = []
    for (const claim of claimsOf(entry)) {
      if (await this.#isLiving(claim, signal)) living.push(claim)
      else {
        await ledger.withdraw(ip, claim, signal)
        logger.info('claim withdrawn', { ip, pod: claim.pod, uid: claim.podUid, owner: entry.pod })
      }
    }
    if (living.length === 0) return undefined
    // The owner is the reclaimer's: it passes the address on.
    if (!(await this.#isLiving(entry, signal))) return ownerRecheckMs
    this.#tell(ip, [entry, ...living])
    return recheckMs
  }

  async #isLiving(holder: BlockEntry, signal: AbortSignal): Promise<boolean> {
    const [namespace = '', name = ''] = holder.pod.split('/')
    const cached = this.#ports.findPod({ namespace, name })
    if (cached?.metadata.uid === holder.podUid && isAlive(cached)) return true
    const { api } = this.#ports
    const pod = isMachineEntry(holder)
      ? await machineFinding(holder, api, signal)
      : findingOf(await api.get<Pod>(resources.pod, { namespace, name }, signal))
    const isReplicaValid =
      holder.owner.kind === 'sticky' && (await this.#ports.isReplicaValid(holder, signal))
    return planReclaim({ entry: holder, pod, isReplicaValid, sandboxes: [] }).kind !== 'free'
  }

  #tell(ip: string, holders: readonly BlockEntry[]): void {
    const { events, logger } = this.#ports
    const names = holders.map(({ pod, podUid, pool }) => `pod ${pod} (uid ${podUid}, pool ${pool})`)
    const message =
      `address ${ip} is recorded for ${names.join(' and for ')}: it is given to nobody new until one of them is left; ` +
      'delete the pod that should not have it, or restart its sandbox, and it gets another address'
    logger.warn('address is contested', { ip, pods: holders.map(({ pod }) => pod) })
    for (const { pod, podUid } of holders) {
      const [namespace = '', name = ''] = pod.split('/')
      const subject = { apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace, uid: podUid } }
      events.event(subject, 'Warning', 'AddressContested', message)
    }
    for (const name of new Set(holders.map(({ pool }) => pool))) {
      const { uid } = this.#ports.findPool(name)?.metadata ?? {}
      const metadata = { name, ...(uid === undefined ? {} : { uid }) }
      const subject = { apiVersion: `${spiderGroup}/${spiderVersion}`, kind: 'SpiderIPPool', metadata }
      events.event(subject, 'Warning', 'AddressContested', message)
    }
  }
}
