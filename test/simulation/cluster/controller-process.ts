import { Metrics, silentLogger } from '../../../src/base/index.ts'
import { conflictCounter } from '../../../src/controller/allocator/conflicts.ts'
import { type Caches, openCaches } from '../../../src/controller/caches.ts'
import { followCaches } from '../../../src/controller/follow-caches.ts'
import { LeaderGate } from '../../../src/controller/leader-gate.ts'
import { Leadership } from '../../../src/controller/leadership.ts'
import { parseControllerOptions } from '../../../src/controller/options.ts'
import type { EventRecorder, Term } from '../../../src/kube/index.ts'
import type { Scheduler } from '../scheduler.ts'
import type { ApiServer } from './api-server.ts'
import type { Faults } from './faults.ts'
import { KubeLink } from './kube-link.ts'
import { watchMark } from './timers.ts'

const options = parseControllerOptions(
  ['--kubeconfig', 'none', '--namespace', 'kube-system', '--scan-seconds', '5'],
  {},
  'simulation',
)
const noEvents: EventRecorder = { event: () => undefined, close: () => Promise.resolve() }

/** What a term of the lease is to the process that has it. */
interface Lease extends Term {
  readonly end: AbortController
  isLost: boolean
}

/** One replica of the controller: real caches, real leadership behind the real gate, simulated lease. */
export class ControllerProcess {
  readonly actor: string
  readonly gate = new LeaderGate<Leadership>()
  readonly caches: Caches
  readonly terms: number[] = []
  isCrashed = false
  onServing: () => void = () => undefined
  /** The term that it leads, or begins to lead. */
  lease: Lease | undefined
  readonly #scheduler: Scheduler
  readonly #kube: KubeLink

  constructor(
    actor: string,
    { server, scheduler, faults }: { server: ApiServer; scheduler: Scheduler; faults: Faults },
  ) {
    this.actor = actor
    this.#scheduler = scheduler
    this.#kube = new KubeLink(server, scheduler, actor, faults)
    scheduler.current = actor
    const timing = { clock: scheduler.timedClockOf(actor), random: scheduler.random }
    this.caches = openCaches(this.#kube, silentLogger, timing)
    followCaches(this.caches, () => this.gate.leadership)
  }

  get isServing(): boolean {
    return !this.isCrashed && this.gate.leadership !== undefined
  }

  /** The lease is this replica's from now on; it hears of it, and begins to lead, as an event of its own. */
  grant(number: number): void {
    this.terms.push(number)
    const end = new AbortController()
    const lease: Lease = {
      number,
      end,
      isLost: false,
      signal: end.signal,
      isHeld: () => !lease.isLost && !end.signal.aborted,
      isOurs: () => !lease.isLost && !end.signal.aborted,
    }
    this.lease = lease
    this.#scheduler.at(this.actor, () => {
      void this.#lead(lease).finally(() => {
        lease.isLost = true
        if (this.lease === lease) this.lease = undefined
      })
    })
  }

  /**
   * The lease is over, and another's. The process hears of it later.
   * @param isBlind its clocks do not tell it either, as those of a machine that slept: until then it goes on as if it led
   */
  revoke(isBlind: boolean): void {
    const { lease } = this
    if (lease === undefined) return
    if (!isBlind) lease.isLost = true
    this.#scheduler.at(this.actor, () => {
      lease.isLost = true
      lease.end.abort(new DOMException('the lease is over', 'AbortError'))
    })
  }

  async #lead(term: Lease): Promise<void> {
    const random = this.#scheduler.random
    const clock = this.#scheduler.timedClockOf(this.actor)
    const api = this.#kube
    const { caches } = this
    try {
      await caches.synced(term.signal)
      const context = {
        options,
        api,
        background: api,
        views: api,
        caches,
        events: noEvents,
        conflicts: conflictCounter(new Metrics()),
        clock,
        random,
        logger: silentLogger,
      }
      const leadership = await Leadership.start(context, term)
      this.gate.open(leadership, term)
      this.onServing()
      try {
        await leadership.ended(term.signal)
      } finally {
        this.gate.close()
        await leadership.close()
      }
    } catch {
      // As the real replica: what ended a leadership is logged, and the lease is given back.
    }
  }

  crash(): void {
    this.isCrashed = true
    this.lease = undefined
    this.#scheduler.crash(this.actor)
    this.#scheduler.crash(`${this.actor}${watchMark}`)
  }

  async close(): Promise<void> {
    await this.caches.close()
  }
}
