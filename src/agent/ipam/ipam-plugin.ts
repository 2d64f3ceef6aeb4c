import { type AllocateRequest, type AllocateResponse, parseAskedIp } from '../../api/index.ts'
import {
  type Clock,
  deadlineAfter,
  InvalidInputError,
  type Logger,
  type StepTimes,
  toError,
  undone,
} from '../../base/index.ts'
import {
  type AttachmentEnvironment,
  asCniCode,
  CniError,
  type CniRequest,
  type CniResult,
  cniCodes,
  cniErrorObject,
  convertResult,
  type IpamConfig,
  KeyedLock,
  parseIpamConfig,
} from '../../cni/index.ts'
import { type Journal, type JournalEntry, JournalFullError } from '../journal/journal.ts'
import type { Given } from '../meta/given.ts'
import { type PodIdentity, podOf, requireForeignNamespace } from '../pod-identity.ts'
import type { Allocator, Namespaces } from '../ports.ts'
import type { MasterAddresses } from './master-addresses.ts'
import { isSandboxAlive } from './node-reporter.ts'

/** What the IPAM plugin works with. */
export interface IpamPorts {
  readonly allocator: Allocator
  readonly journal: Journal
  readonly namespaces: Namespaces
  readonly clock: Clock
  readonly logger: Logger
  /** Uids of the pods of this node, read from the API server. */
  podsOfNode(signal: AbortSignal): Promise<ReadonlySet<string>>
  /** A pod of this node waits for an address: what this node knows of dead pods' sandboxes may free one. */
  poolWasFull(): void
  /** Of the interface behind an SR-IOV device of the node. */
  masterAddresses(deviceId: string | undefined): Promise<MasterAddresses>
}

type Ask<Command extends CniRequest['command']> = Extract<CniRequest, { command: Command }>

// Each is less than what waits for it: this call, the main plugin, the runner's limit, the pipe (100 s), the runtime.
const addBudgetMs = 80_000
const checkBudgetMs = 20_000
const releaseBudgetMs = 3_000
const gcBudgetMs = 100_000
const sweepAfterMs = 60_000
const awayPauseMs = 2_000
const maxFailuresInARow = 3
const maxRuntimeIps = 32
// The allocator said no, so nothing is recorded and there is nothing to undo.
const refusals: readonly number[] = [
  cniCodes.poolExhausted,
  cniCodes.noCandidatePool,
  cniCodes.addressNotAvailable,
  cniCodes.podMismatch,
]

/** The IPAM plugin `spiderpool`: addresses of one interface, kept in the journal until they are given back. */
export class IpamPlugin {
  readonly #ports: IpamPorts
  readonly #containers = new KeyedLock()
  #awayUntilMs = 0
  /** How often the sweep has seen the sandbox of an entry gone. */
  readonly #gone = new WeakMap<JournalEntry, number>()
  /** What came with the addresses of each attachment, until it is released. */
  readonly #given = new Map<string, Given>()

  constructor(ports: IpamPorts) {
    this.#ports = ports
  }

  /** @returns the result in the version of the configuration */
  async add(request: Ask<'ADD'>, steps: StepTimes, signal: AbortSignal): Promise<object> {
    const ipam = parseIpamConfig(request.config)
    const pod = podOf(request.env)
    const { env, config } = request
    const ips = runtimeIps(env)
    const netnsIdentity = requireForeignNamespace(env, this.#ports.namespaces)
    using deadline = deadlineAfter(addBudgetMs, signal)
    const limited = deadline.signal
    return await this.#containers.run(env.containerId, 'exclusive', limited, async () => {
      const entry: JournalEntry = {
        containerId: env.containerId,
        ifName: env.ifName,
        network: config.name,
        netns: env.netns,
        netnsIdentity,
        ...pod,
        atMs: this.#ports.clock.nowMs(),
        state: 'held',
      }
      const before = this.#ports.journal.find(entry)
      // On disk before the allocator is asked: an address that it records is never unknown here. It also takes back a
      // release of this very attachment that is still to be told.
      await this.#ports.journal.write(entry)
      steps.end('journal')
      try {
        const asked = {
          ...(await this.#requestOf(env, pod, ipam)),
          startedMs: entry.atMs,
          ...(ips.length === 0 ? {} : { ips }),
        }
        const answer = await this.#ports.allocator.allocate(asked, limited)
        steps.end('allocator')
        this.#given.set(keyOf(env), givenBy(env.ifName, answer))
        return convertResult(toResult(env.ifName, answer), config.cniVersion)
      } catch (cause) {
        throw await undone(cause, () => this.#undo(entry, before, cause))
      }
    })
  }

  async #requestOf(
    { containerId, ifName, netns }: AttachmentEnvironment,
    pod: PodIdentity,
    { matchMaster, ...ipam }: IpamConfig,
  ): Promise<AllocateRequest> {
    const request = { containerId, ifName, netns, ...pod, ...ipam, budgetMs: addBudgetMs }
    if (matchMaster === undefined) return request
    const { addresses, problem } = await this.#ports.masterAddresses(matchMaster.deviceId)
    return {
      ...request,
      masterAddresses: addresses,
      ...(problem === undefined ? {} : { masterProblem: problem }),
    }
  }

  async #undo(entry: JournalEntry, before: JournalEntry | undefined, cause: unknown): Promise<void> {
    const { code } = cniErrorObject(cause)
    if (code === cniCodes.poolExhausted) this.#ports.poolWasFull()
    // It may have been answered before: what an earlier ADD of the attachment took is not this one's to free.
    if (before?.state === 'held') return this.#release(asReleasing(entry))
    if (refusals.includes(code)) return this.#ports.journal.delete(entry)
    await this.#release({ ...entry, state: { releasing: 'undo' } })
  }

  /** Gives the addresses back; when the controller is away, the journal remembers to. */
  async del(request: Ask<'DEL'>, signal: AbortSignal): Promise<void> {
    await this.#delAttachment(request.env, signal, podOrNobody(request.env))
  }

  async #delAttachment(
    id: { containerId: string; ifName: string },
    signal: AbortSignal,
    pod: PodIdentity = nobody,
  ): Promise<void> {
    await this.#containers.run(id.containerId, 'exclusive', signal, async () => {
      const known = this.#ports.journal.find(id)
      const atMs = this.#ports.clock.nowMs()
      await this.#release(known === undefined ? forgotten(id, pod, atMs) : asReleasing(known))
    })
  }

  /** What came with the addresses of an interface. */
  givenTo(id: { containerId: string; ifName: string }): Given {
    return this.#given.get(keyOf(id)) ?? {}
  }

  async #release(entry: JournalEntry): Promise<void> {
    this.#given.delete(keyOf(entry))
    const { clock, journal, logger } = this.#ports
    // While the controller is known to be away nobody waits for it: a spool of thousands is replayed in seconds.
    if (clock.nowMs() < this.#awayUntilMs) return this.#keepForLater(entry, undefined)
    using deadline = deadlineAfter(releaseBudgetMs)
    try {
      await this.#tellController(entry, deadline.signal)
    } catch (error) {
      const { containerId, ifName } = entry
      logger.warn('release is kept for later', { containerId, ifName, err: toError(error).message })
      this.#awayUntilMs = clock.nowMs() + awayPauseMs
      return await this.#keepForLater(entry, error)
    }
    this.#awayUntilMs = 0
    journal.delete(entry)
  }

  async #tellController(entry: JournalEntry, signal: AbortSignal): Promise<void> {
    const reason = entry.state === 'held' ? 'detach' : entry.state.releasing
    const { containerId, ifName, podNamespace: namespace, podName: name, podUid: uid } = entry
    const pod = name === '' || uid === '' ? {} : { pod: { namespace, name, uid } }
    await this.#ports.allocator.release({ containerId, ifName, reason, ...pod }, signal)
  }

  async #keepForLater(entry: JournalEntry, cause: unknown): Promise<void> {
    try {
      await this.#ports.journal.write(entry)
    } catch (error) {
      if (!(error instanceof JournalFullError)) throw error
      throw new CniError(
        {
          cniCode: cniCodes.tryAgain,
          slug: 'journal-full',
          message: `Cannot release ${entry.containerId} ${entry.ifName} while the controller is away: ${error.message}`,
          hint: error.hint,
        },
        { cause },
      )
    }
  }

  /** Releases everything that the journal holds of a container: DEL of a pod of which nothing else is known. */
  async releaseContainer(containerId: string, signal: AbortSignal): Promise<void> {
    for (const entry of this.#ports.journal.entries())
      if (entry.containerId === containerId) await this.#delAttachment(entry, signal)
  }

  /**
   * Tells the controller what is still to be told.
   * @returns how many entries are left
   */
  async retryReleases(signal: AbortSignal): Promise<number> {
    const pending = this.#ports.journal.entries().filter((entry) => entry.state !== 'held')
    let done = 0
    let failuresInARow = 0
    for (const entry of pending) {
      signal.throwIfAborted()
      try {
        if (await this.#retryOne(entry, signal)) done++
        failuresInARow = 0
      } catch (error) {
        // One that is refused must not hold up the others; an absent controller refuses all.
        failuresInARow++
        if (failuresInARow === maxFailuresInARow || signal.aborted) throw error
      }
    }
    return pending.length - done
  }

  async #retryOne(pending: JournalEntry, signal: AbortSignal): Promise<boolean> {
    const { journal } = this.#ports
    return this.#containers.run(pending.containerId, 'exclusive', signal, async () => {
      const entry = journal.find(pending)
      if (entry === undefined || entry.state === 'held') return true // it was added again meanwhile
      using deadline = deadlineAfter(releaseBudgetMs, signal)
      await this.#tellController(entry, deadline.signal)
      journal.delete(entry)
      this.#awayUntilMs = 0
      return true
    })
  }

  /**
   * Releases what was left by sandboxes that are gone without a DEL, as after a reboot. The controller frees an address
   * only when the pod is gone too, so an attachment that a runtime still means to remove loses nothing.
   */
  async sweep(signal: AbortSignal): Promise<void> {
    const { journal, namespaces, clock, logger } = this.#ports
    for (const entry of journal.entries()) {
      const isOld = clock.nowMs() - entry.atMs > sweepAfterMs
      if (entry.state !== 'held' || !isOld || isSandboxAlive(entry, namespaces)) continue
      const seen = this.#gone.get(entry) ?? 0
      this.#gone.set(entry, seen + 1)
      if (seen === 0) continue // once more in a minute: DEL may be under way
      logger.info('sandbox is gone without DEL', { containerId: entry.containerId, ifName: entry.ifName })
      await this.#delAttachment(entry, signal)
    }
  }

  async check(request: Ask<'CHECK'>, signal: AbortSignal): Promise<void> {
    parseIpamConfig(request.config)
    const { containerId, ifName } = request.env
    const { interfaces = [], ips = [] } = request.config.prevResult ?? {}
    const own = ips
      .filter((ip) => ip.interface === undefined || interfaces[ip.interface]?.name === ifName)
      .map((ip) => ip.address.split('/')[0] ?? '')
    const entry = this.#ports.journal.find({ containerId, ifName })
    if (entry === undefined || entry.state !== 'held')
      throw new CniError({
        cniCode: cniCodes.addressNotAvailable,
        slug: 'not-recorded',
        message: `Cannot confirm the addresses of ${containerId} ${ifName}: this node has no record of its ADD`,
        hint: 'remove the sandbox and let the runtime make a new one',
      })
    using deadline = deadlineAfter(checkBudgetMs, signal)
    const limited = deadline.signal
    await this.#ports.allocator.check({ containerId, ifName, ips: own }, limited)
  }

  /** Releases what this network has on this node and the list does not name. Goes on after errors, then joins them. */
  async gc(request: Ask<'GC'>, signal: AbortSignal): Promise<void> {
    using deadline = deadlineAfter(gcBudgetMs, signal)
    const limited = deadline.signal
    const valid = new Set(request.validAttachments.map((item) => `${item.containerId}:${item.ifName}`))
    const network = request.config.name
    const stale = this.#ports.journal
      .entries()
      .filter((entry) => entry.network === network && entry.state === 'held')
      .filter((entry) => !valid.has(`${entry.containerId}:${entry.ifName}`))
    // An empty list may be a slip of the caller, and would free the whole node: what lives is kept.
    const isSuspicious = request.validAttachments.length === 0 && stale.length > 0
    const alive = isSuspicious ? await this.#ports.podsOfNode(limited) : new Set<string>()
    const errors: Error[] = []
    for (const entry of stale) {
      if (alive.has(entry.podUid)) continue
      try {
        await this.#delAttachment(entry, limited)
      } catch (error) {
        errors.push(toError(error))
      }
    }
    if (errors.length === 0) return
    throw new CniError({
      cniCode: cniErrorObject(errors[0]).code,
      slug: 'gc-incomplete',
      message: `Cannot release ${errors.length} stale attachments: ${errors.map((error) => error.message).join('; ')}`,
      hint: 'repeat GC',
    })
  }
}

const keyOf = ({ containerId, ifName }: { containerId: string; ifName: string }): string =>
  `${containerId} ${ifName}`

function givenBy(ifName: string, { ips, dns }: AllocateResponse): Given {
  const mac = ips.find((ip) => ip.nic === ifName && ip.mac !== undefined)?.mac
  return { ...(mac === undefined ? {} : { mac }), ...(dns === undefined ? {} : { dns }) }
}

/** Addresses that the runtime asks for: `IP` of CNI_ARGS, separated by commas. @throws {CniError} code 4 */
function runtimeIps({ args }: AttachmentEnvironment): readonly string[] {
  const texts = (args.get('IP') ?? '').split(',').filter((text) => text !== '')
  return asCniCode(cniCodes.environment, 'environment', () => {
    if (texts.length > maxRuntimeIps) {
      const hint = 'ask for one address of each family'
      throw new InvalidInputError(
        'IP of CNI_ARGS',
        texts.length,
        `has more than ${maxRuntimeIps} addresses`,
        hint,
      )
    }
    for (const text of texts) parseAskedIp(text, 'IP of CNI_ARGS')
    return texts
  })
}

function asReleasing(entry: JournalEntry): JournalEntry {
  return entry.state === 'held' ? { ...entry, state: { releasing: 'detach' } } : entry
}

// The journal does not know it, the controller may: it was lost, ADD never came so far, or another allocator answered it.
function forgotten(
  { containerId, ifName }: { containerId: string; ifName: string },
  pod: PodIdentity,
  atMs: number,
): JournalEntry {
  const unknown = { network: '', netns: '', netnsIdentity: '' }
  return { containerId, ifName, ...unknown, ...pod, atMs, state: { releasing: 'detach' } }
}

const nobody: PodIdentity = { podNamespace: '', podName: '', podUid: '' }

/** DEL needs no pod: what the runtime says of it wrongly is as if it said nothing. */
function podOrNobody(env: AttachmentEnvironment): PodIdentity {
  try {
    return podOf(env)
  } catch (error) {
    if (error instanceof CniError) return nobody
    throw error
  }
}

// An IPAM result has no interfaces, and no index into them (CNI spec, "Delegated Plugins (IPAM)").
function toResult(ifName: string, answer: AllocateResponse): CniResult {
  const ips = answer.ips.filter((ip) => ip.nic === ifName).toSorted((a, b) => a.version - b.version)
  if (ips.length === 0)
    throw new CniError({
      cniCode: cniCodes.internal,
      slug: 'no-allocation',
      message: `Cannot answer ADD: no Interface ${ifName} IP allocation found`,
      hint: 'see the log of the controller',
    })
  const routes = answer.routes
    .filter((route) => route.ifName === ifName)
    .map(({ dst, gw }) => ({ dst, ...(gw === '' ? {} : { gw }) }))
  return {
    cniVersion: '1.1.0',
    ips: ips.map(({ address, gateway }) => ({ address, ...(gateway === undefined ? {} : { gateway }) })),
    ...(routes.length === 0 ? {} : { routes }),
    ...(answer.dns === undefined ? {} : { dns: answer.dns }),
  }
}
