import type { EntryGrant, Pod, SpiderIpPool } from '../../api/index.ts'
import {
  Backoff,
  type Clock,
  InvalidInputError,
  type Logger,
  OperationError,
  type Random,
} from '../../base/index.ts'
import type { EventRecorder, KubeApi, ObjectRef } from '../../kube/index.ts'
import { grantOf, type Ledger } from '../../ledger/index.ts'
import type { AllocatorWorld } from '../allocator/world.ts'
import { AdoptionReport } from './adoption-report.ts'
import type { FoundClaim } from './found-claims.ts'
import { type ForeignText, observe, readForeignText } from './observe.ts'
import { resolveOwners } from './owners.ts'
import { planAdoption } from './plan-adoption.ts'
import { isReferenceAgent, readReferenceAgents } from './reference-agents.ts'
import type { TextVerdict } from './text-verdict.ts'

const retryMs = { firstMs: 200, capMs: 5_000 }
/** While agents of the reference run, they are looked at again this often. */
const haltedCheckMs = 5_000
const maxNamed = 5 // agents that an error names

export interface AdoptionPorts {
  readonly api: Pick<KubeApi, 'get' | 'listAll'>
  readonly ledger: Pick<Ledger, 'takeIn' | 'entry' | 'ofPool' | 'stats'>
  readonly world: Pick<AllocatorWorld, 'readWorkload' | 'isStatefulSetSticky' | 'pools'>
  readonly events: EventRecorder
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  /** From the cache. */
  findPod(ref: ObjectRef): Pod | undefined
  /** From the cache. */
  pods(): Iterable<Pod>
  /** Pools that hand out nothing new, and why; filled from here. */
  readonly blockedPools: Map<string, string>
}

/** Agents of another allocator run: an address given now could be given by them at the same moment. */
export class AllocationHaltedError extends OperationError {
  override readonly code = 'ALLOCATION_HALTED'
  override readonly retry = 'later'
}

/**
 * Takes over from another allocator that keeps its records in pools and endpoints, as the reference project does: before the
 * first allocation of each leader, and whenever somebody else changes the records of a pool. Allocation halts as long as
 * agents of the other run.
 */
export class Adoption {
  readonly #ports: AdoptionPorts
  readonly #report: AdoptionReport
  /** Digest of the text that was taken in last, by pool. */
  readonly #taken = new Map<string, string>()
  #agents: readonly ObjectRef[] | undefined

  constructor(ports: AdoptionPorts) {
    this.#ports = ports
    this.#report = new AdoptionReport(ports)
  }

  /** Adopts all there is; tries until it can, for as long as `signal` lets it. */
  async start(signal: AbortSignal): Promise<void> {
    const backoff = new Backoff(retryMs, this.#ports.random)
    for (;;) {
      try {
        await this.reconcile(signal)
        return
      } catch (error) {
        signal.throwIfAborted()
        if (!(error instanceof OperationError) || error.code === 'LEDGER_DEPOSED') throw error
        this.#ports.logger.warn('records of others cannot be read, nothing is allocated', { err: error })
        await this.#ports.clock.sleep(backoff.nextMs(), signal)
      }
    }
  }

  /**
   * Looks for agents of the reference, then takes in what is recorded: what they wrote to the end is seen before the first
   * address is given. Safe to repeat.
   *
   * @returns milliseconds after which to look again, while there are such agents
   */
  async reconcile(signal: AbortSignal): Promise<number | undefined> {
    const { api, pods, logger } = this.#ports
    const before = this.#agents
    const agents = await readReferenceAgents(api, [...pods()].filter(isReferenceAgent), signal)
    const scope = agents.length === 0 && before === undefined ? 'unmarked' : 'all'
    if (agents.length === 0 || before === undefined) await this.#takeInAll(scope, signal)
    this.#agents = agents
    if (agents.length > 0) {
      if (before?.length !== agents.length) this.#report.halted(agents, this.#haltedText(agents))
      return haltedCheckMs
    }
    if (before !== undefined && before.length > 0) logger.info('allocation goes on: no other agent runs')
    return undefined
  }

  /** @returns true when the change may end or begin a halt: {@link reconcile} then tells */
  podChanged(old: Pod | undefined, now: Pod | undefined): boolean {
    const isAgent = now !== undefined && isReferenceAgent(now)
    // At once, as it may begin to give out addresses; that it is gone must be read afresh.
    if (isAgent && this.#agents?.length === 0) {
      const { name, namespace = '' } = now.metadata
      this.#agents = [{ name, namespace }]
      this.#report.halted(this.#agents, this.#haltedText(this.#agents))
    }
    return isAgent || (old !== undefined && isReferenceAgent(old))
  }

  /** True while {@link reconcile} has to be called: agents run, or began to while it ran. */
  seesAgents(): boolean {
    return this.haltReason !== undefined || [...this.#ports.pods()].some(isReferenceAgent)
  }

  /** Why nothing is allocated; undefined when all is well. */
  get haltReason(): string | undefined {
    if (this.#agents === undefined) return 'what others recorded is not adopted yet'
    return this.#agents.length === 0 ? undefined : this.#haltedText(this.#agents)
  }

  /** @throws {AllocationHaltedError} while agents of the reference run */
  requireOpen(): void {
    const reason = this.haltReason
    if (reason === undefined) return
    throw new AllocationHaltedError(`Cannot allocate: ${reason}`, haltedHint)
  }

  /** Takes in what others wrote into the pool's records since, before our view overwrites it. Safe to repeat. */
  async takeIn(pool: SpiderIpPool, signal: AbortSignal): Promise<TextVerdict> {
    const { name } = pool.metadata
    const text = readForeignTextOnce(pool, this.#taken.get(name))
    if (text === 'known') return this.#verdictOn(name)
    if (text === undefined) {
      this.#taken.delete(name)
      this.#ports.blockedPools.delete(name)
      return this.#verdictOn(name)
    }
    const missing = this.#missingFrom(text)
    const found = await this.#adopt(text.claims, signal)
    this.#judge(text)
    this.#report.changed(text, found, missing)
    return this.#verdictOn(name)
  }

  async #takeInAll(scope: 'all' | 'unmarked', signal: AbortSignal): Promise<void> {
    const { api, ledger, clock, logger } = this.#ports
    const startMs = clock.monotonicMs()
    const writesBefore = ledger.stats().writes
    const { texts, endpointClaims, endpointProblems } = await observe(api, scope, signal)
    const claims = [...texts.flatMap((text) => text.claims), ...endpointClaims]
    const found = await this.#adopt(claims, signal)
    for (const text of texts) {
      this.#judge(text)
      this.#report.adopted(text)
    }
    this.#report.endpoints(endpointProblems)
    if (claims.length === 0 && texts.length === 0) return
    logger.info('adopted what others recorded', {
      records: claims.length - endpointClaims.length,
      endpoints: endpointClaims.length,
      addresses: found.length,
      writes: ledger.stats().writes - writesBefore,
      durationMs: Math.round(clock.monotonicMs() - startMs),
    })
  }

  /** @returns the addresses that the ledger did not know, or knew of other holders */
  async #adopt(claims: readonly FoundClaim[], signal: AbortSignal): Promise<readonly string[]> {
    const { ledger, world, clock } = this.#ports
    const findPod = (pod: string): Pod | undefined => this.#findPod(pod)
    const ownerOf = await resolveOwners(claims, world, findPod, signal)
    const pools = world.pools()
    const facts = {
      nowMs: clock.nowMs(),
      findPod,
      ownerOf,
      grantOf: (claim: FoundClaim) => grantOfPool(pools.get(claim.pool), claim.ip),
      entryOf: (ip: string) => ledger.entry(ip),
    }
    const found = planAdoption(claims, facts)
    await ledger.takeIn(found, signal)
    return found.map(({ ip }) => ip)
  }

  #findPod(pod: string): Pod | undefined {
    const [namespace = '', name = ''] = pod.split('/')
    return this.#ports.findPod({ namespace, name })
  }

  #judge(text: ForeignText): void {
    const { name } = text.pool.metadata
    this.#taken.set(name, keyOf(text))
    const [first] = text.unreadable
    if (first === undefined || text.isDiscarded) this.#ports.blockedPools.delete(name)
    else this.#ports.blockedPools.set(name, this.#report.unreadableText(text))
  }

  #verdictOn(pool: string): TextVerdict {
    if (this.haltReason !== undefined) return { kind: 'halted' }
    const message = this.#ports.blockedPools.get(pool)
    return message === undefined ? { kind: 'view' } : { kind: 'unreadable', message }
  }

  /** Addresses that the ledger has of the pool, and the text has not. */
  #missingFrom({ pool, claims, unreadable }: ForeignText): readonly string[] {
    if (unreadable.length > 0) return []
    const listed = new Set(claims.map(({ ip }) => ip))
    const held = this.#ports.ledger.ofPool(pool.metadata.name)
    return held.flatMap(({ ip }) => (listed.has(ip) ? [] : [ip]))
  }

  #haltedText(agents: readonly ObjectRef[]): string {
    const names = agents.slice(0, maxNamed).map(({ namespace = '', name }) => `${namespace}/${name}`)
    const more = agents.length > maxNamed ? ` and ${agents.length - maxNamed} more` : ''
    return `${agents.length} agents of another allocator still run: ${names.join(', ')}${more}`
  }
}

const haltedHint =
  'Remove the DaemonSet of the earlier release, or its pods; allocation goes on by itself when the last one is gone'

function readForeignTextOnce(
  pool: SpiderIpPool,
  taken: string | undefined,
): ForeignText | 'known' | undefined {
  const text = readForeignText(pool)
  return text !== undefined && keyOf(text) === taken ? 'known' : text
}

function keyOf({ digest, isDiscarded }: ForeignText): string {
  return `${digest} ${isDiscarded}`
}

/** What the pool would answer with; of a pool that is gone or unreadable, the address alone. */
function grantOfPool(pool: SpiderIpPool | undefined, ip: string): EntryGrant {
  const alone = { prefixBits: ip.includes(':') ? 128 : 32 }
  if (pool === undefined) return alone
  try {
    return grantOf({ pool, cleanGateway: false, podRoutes: [], taken: [] })
  } catch (error) {
    if (error instanceof InvalidInputError) return alone
    throw error
  }
}
