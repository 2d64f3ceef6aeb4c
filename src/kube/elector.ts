import { type KubeObject, resources } from '../api/index.ts'
import {
  assert,
  type Clock,
  deadlineAfter,
  type Logger,
  type Random,
  systemClock,
  systemRandom,
  toError,
} from '../base/index.ts'
import { ApiError } from './api-error.ts'
import { type HoldWindow, holdWindow, waitWindow } from './hold-window.ts'
import type { KubeApi, ObjectRef } from './kube-api.ts'

export interface ElectionOptions {
  readonly name: string
  readonly namespace: string
  /** Unique for each process that runs at one time; a restarted one may use it again and gets the lease at once. */
  readonly identity: string
  readonly leaseSeconds: number
  readonly renewMs: number
  /** A candidate looks so often: a lease that is given back is taken after that. */
  readonly retryMs: number
  /** Terms up to this one are known to be used, also when the lease has forgotten them (somebody deleted it). */
  readonly leastTerm?: () => number
  readonly clock?: Clock
  readonly random?: Random
}

/** One time as leader. */
export interface Term {
  /** Grows with every acquisition, by whomever. */
  readonly number: number
  /** Aborts when the lease is lost, given up, or near its end without a renewal. */
  readonly signal: AbortSignal
  /** False also when the process was frozen past the end of the lease and no timer has run yet. */
  isHeld(): boolean
  /** As `isHeld`, and also while a term that was given up is brought to its end, before the lease is given back. */
  isOurs(): boolean
}

export interface ElectionHandlers {
  /** Leads; has to return soon after `term.signal` aborts. Returning earlier gives the lease up. */
  readonly lead: (term: Term) => Promise<void>
  /** Somebody else was seen to lead; undefined when nobody does. */
  readonly onLeader?: (identity: string | undefined) => void
}

interface Lease extends KubeObject {
  readonly spec?: {
    readonly holderIdentity?: string
    readonly leaseDurationSeconds?: number
    readonly leaseTransitions?: number
    readonly acquireTime?: string
    readonly renewTime?: string
  }
}

// The leader stops this part of the lease before its end: time for work under way to notice.
const marginPart = 0.2
const maxForeignLeaseSeconds = 3600
// A process that is told to end has two seconds; a lease that cannot be given back runs out.
const releaseBudgetMs = 1000
const requestBudgetMs = 5000
// Of the lease: so that a renewal whose answer is lost leaves time for two more.
const renewalPart = 0.25
// An API server that is away is complained of once, and then so often.
const complainEveryMs = 30_000

/**
 * Takes part in the election of one leader through a Lease (coordination.k8s.io/v1) until `signal` aborts; then gives
 * the lease back. Never throws for what the API server answers: it goes on trying.
 */
export async function elect(
  api: KubeApi,
  options: ElectionOptions & { readonly logger: Logger },
  handlers: ElectionHandlers,
  signal: AbortSignal,
): Promise<void> {
  const { leaseSeconds, renewMs, retryMs } = options
  assert(
    renewMs < leaseSeconds * 1000 * (1 - marginPart) && retryMs < renewMs * 2,
    'lease times do not fit together',
  )
  const elector = new Elector(api, options, handlers)
  while (!signal.aborted) {
    const holding = await elector.tryAcquire(signal)
    if (holding !== undefined) await elector.lead(holding, signal)
    if (!signal.aborted) await elector.pause(signal)
  }
}

/** A lease that we took. `window` is the time in which it is surely still ours. */
interface Holding {
  readonly term: number
  lease: Lease
  window: HoldWindow
}

const over: HoldWindow = { remainingMs: () => 0 }

class Elector {
  readonly #api: KubeApi
  readonly #options: ElectionOptions & { readonly logger: Logger }
  readonly #handlers: ElectionHandlers
  readonly #clock: Clock
  readonly #random: Random
  readonly #ref: ObjectRef
  /** The lease of another as last seen to change, and since when by our clocks: theirs cannot be compared with. */
  #seen: { readonly version: string | undefined; readonly window: HoldWindow } | undefined
  #leader: string | undefined
  /** Highest term that a lease was seen to have: somebody may delete the lease, and with it the count. */
  #seenTerm = 0
  #complainedAtMs = Number.NEGATIVE_INFINITY

  constructor(
    api: KubeApi,
    options: ElectionOptions & { readonly logger: Logger },
    handlers: ElectionHandlers,
  ) {
    this.#api = api
    this.#options = options
    this.#handlers = handlers
    this.#clock = options.clock ?? systemClock
    this.#random = options.random ?? systemRandom
    this.#ref = { name: options.name, namespace: options.namespace }
  }

  /** Until the next look at the lease; no longer than until the one of another has run out. */
  async pause(signal: AbortSignal): Promise<void> {
    const pauseMs = this.#options.retryMs * (0.8 + this.#random.next() * 0.4)
    const leftMs = this.#seen?.window.remainingMs() ?? 0
    await this.#sleep(leftMs > 0 ? Math.min(pauseMs, leftMs) : pauseMs, signal)
  }

  /** @returns undefined when another holds it, or the API server did not answer */
  async tryAcquire(signal: AbortSignal): Promise<Holding | undefined> {
    try {
      using deadline = deadlineAfter(requestBudgetMs, signal)
      const budget = deadline.signal
      const lease = await this.#api.get<Lease>(resources.lease, this.#ref, budget)
      this.#seenTerm = Math.max(this.#seenTerm, transitionsOf(lease))
      if (!(lease === undefined ? this.#isForgotten() : this.#isTakeable(lease))) return undefined
      const window = this.#window()
      const term = Math.max(this.#seenTerm, this.#options.leastTerm?.() ?? 0) + 1
      const taken =
        lease === undefined ? await this.#create(term, budget) : await this.#take(lease, term, budget)
      this.#seen = undefined
      this.#seenTerm = term
      return { lease: taken, term, window }
    } catch (error) {
      // A conflict is another candidate who was quicker.
      const isRace = error instanceof ApiError && error.status === 409
      if (!signal.aborted && !isRace) this.#complain('cannot take part in the election', error)
      return undefined
    }
  }

  async lead(holding: Holding, signal: AbortSignal): Promise<void> {
    const { logger, identity } = this.#options
    const ended = new AbortController()
    const isOurs = () => holding.window.remainingMs() > 0
    const isHeld = () => !ended.signal.aborted && isOurs()
    const term: Term = { number: holding.term, signal: ended.signal, isHeld, isOurs }
    logger.info('leading', { term: holding.term })
    this.#noteLeader(identity)
    const onAbort = () => ended.abort(signal.reason)
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort, { once: true })
    const renewing = this.#renewUntil(ended, holding)
    try {
      await this.#handlers.lead(term)
    } catch (error) {
      if (!ended.signal.aborted) logger.error('leading failed', { term: holding.term, err: toError(error) })
    } finally {
      signal.removeEventListener('abort', onAbort)
      ended.abort(new DOMException('the term is over', 'AbortError'))
      await renewing
    }
    logger.info('no longer leading', { term: holding.term })
    const mayRelease = isOurs()
    holding.window = over
    if (mayRelease) await this.#release(holding)
  }

  /** Renews until `ended`, and ends it when the lease is lost or runs out. */
  async #renewUntil(ended: AbortController, holding: Holding): Promise<void> {
    const { renewMs, retryMs, logger } = this.#options
    const stop = (reason: string) => {
      if (ended.signal.aborted) return
      holding.window = over
      logger.warn('giving up the lead', { term: holding.term, reason })
      ended.abort(new DOMException(`the lease is lost: ${reason}`, 'AbortError'))
    }
    // Fires while a renewal hangs, too.
    const runOut = () => {
      const leftMs = holding.window.remainingMs()
      if (leftMs > 0) timer = setTimeout(runOut, leftMs)
      else stop('it was not renewed in time')
    }
    let timer = setTimeout(runOut, holding.window.remainingMs())
    let waitMs = renewMs
    for (;;) {
      await this.#sleep(waitMs, ended.signal)
      if (ended.signal.aborted) break
      const outcome = await this.#renew(holding, ended.signal)
      if (outcome === 'deposed') stop('another took it')
      waitMs = outcome === 'renewed' ? renewMs : outcome === 'changed' ? 0 : retryMs
    }
    clearTimeout(timer)
  }

  async #renew(holding: Holding, signal: AbortSignal): Promise<'renewed' | 'changed' | 'failed' | 'deposed'> {
    const window = this.#window()
    const budgetMs = Math.min(requestBudgetMs, this.#options.leaseSeconds * 1000 * renewalPart)
    using deadline = deadlineAfter(budgetMs, signal)
    const budget = deadline.signal
    try {
      holding.lease = await this.#patch(holding.lease, { renewTime: microTime() }, budget)
      holding.window = window
      return 'renewed'
    } catch (error) {
      if (signal.aborted) return 'failed'
      const status = error instanceof ApiError ? error.status : 0
      if (status === 404) return 'deposed'
      if (status === 409) return await this.#lookAgain(holding, budget)
      this.#options.logger.warn('cannot renew the lease', { term: holding.term, err: toError(error).message })
      return 'failed'
    }
  }

  // The lease changed under us: an earlier renewal whose answer was lost, a label, or another leader.
  async #lookAgain(holding: Holding, signal: AbortSignal): Promise<'changed' | 'failed' | 'deposed'> {
    try {
      const lease = await this.#api.get<Lease>(resources.lease, this.#ref, signal)
      const isOurs =
        lease?.spec?.holderIdentity === this.#options.identity && transitionsOf(lease) === holding.term
      if (lease === undefined || !isOurs) return 'deposed'
      holding.lease = lease
      return 'changed'
    } catch {
      // Not known yet: the window goes on running, and the next try asks again.
      return 'failed'
    }
  }

  async #release(holding: Holding): Promise<void> {
    const signal = AbortSignal.timeout(releaseBudgetMs)
    const release = () => this.#patch(holding.lease, { holderIdentity: null, renewTime: microTime() }, signal)
    try {
      await release().catch(async (error: unknown) => {
        // A renewal whose answer did not come any more may have changed the version.
        const isConflict = error instanceof ApiError && error.status === 409
        if (!isConflict || (await this.#lookAgain(holding, signal)) !== 'changed') throw error
        return release()
      })
      this.#noteLeader(undefined)
    } catch (error) {
      this.#options.logger.warn('cannot give the lease back, it will run out', {
        err: toError(error).message,
      })
    }
  }

  /** The lease is away. Whoever was seen to hold it may not know yet, and leads for as long as its lease would last. */
  #isForgotten(): boolean {
    return (this.#seen?.window.remainingMs() ?? 0) <= 0
  }

  #isTakeable(lease: Lease): boolean {
    const { holderIdentity: holder, leaseDurationSeconds } = lease.spec ?? {}
    if (holder === undefined || holder === '' || holder === this.#options.identity) {
      this.#seen = undefined
      return true
    }
    const version = lease.metadata.resourceVersion
    let seen = this.#seen
    if (seen === undefined || seen.version !== version) {
      const isSensible = typeof leaseDurationSeconds === 'number' && leaseDurationSeconds > 0
      const seconds = isSensible
        ? Math.min(leaseDurationSeconds, maxForeignLeaseSeconds)
        : this.#options.leaseSeconds
      seen = { version, window: waitWindow(seconds * 1000) }
      this.#seen = seen
    }
    this.#noteLeader(holder)
    return seen.window.remainingMs() <= 0
  }

  async #create(term: number, signal: AbortSignal): Promise<Lease> {
    const { name, namespace } = this.#options
    const lease = {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { name, namespace },
      spec: this.#acquired(term),
    }
    return this.#api.create<Lease>(resources.lease, lease, signal)
  }

  async #take(lease: Lease, term: number, signal: AbortSignal): Promise<Lease> {
    return this.#patch(lease, this.#acquired(term), signal)
  }

  #acquired(term: number) {
    const now = microTime()
    const { identity, leaseSeconds } = this.#options
    return {
      holderIdentity: identity,
      leaseDurationSeconds: leaseSeconds,
      leaseTransitions: term,
      acquireTime: now,
      renewTime: now,
    }
  }

  // The version is the precondition: of two candidates one gets a conflict.
  async #patch(lease: Lease, spec: unknown, signal: AbortSignal): Promise<Lease> {
    const body = { metadata: { resourceVersion: lease.metadata.resourceVersion }, spec }
    return this.#api.patch<Lease>(resources.lease, this.#ref, { type: 'merge', body }, signal)
  }

  #window(): HoldWindow {
    return holdWindow(this.#options.leaseSeconds * 1000 * (1 - marginPart))
  }

  #complain(message: string, error: unknown): void {
    const nowMs = performance.now()
    if (nowMs - this.#complainedAtMs < complainEveryMs) return
    this.#complainedAtMs = nowMs
    this.#options.logger.warn(message, { err: toError(error).message })
  }

  #noteLeader(identity: string | undefined): void {
    if (identity === this.#leader) return
    this.#leader = identity
    this.#handlers.onLeader?.(identity)
  }

  async #sleep(ms: number, signal: AbortSignal): Promise<void> {
    await this.#clock.sleep(ms, signal).catch((error: unknown) => {
      if (!signal.aborted) throw error
    })
  }
}

function transitionsOf(lease: Lease | undefined): number {
  const count = lease?.spec?.leaseTransitions
  return typeof count === 'number' && Number.isSafeInteger(count) && count >= 0 ? count : 0
}

// MicroTime of meta/v1 has exactly six digits after the point.
function microTime(): string {
  return new Date().toISOString().replace('Z', '000Z')
}
