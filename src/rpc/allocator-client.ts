import {
  type AllocateRequest,
  type AllocateResponse,
  allocatorPaths,
  type CheckRequest,
  type NodeReport,
  type NodeReportAnswer,
  type ReleaseRequest,
  type RpcFailure,
} from '../api/index.ts'
import {
  Backoff,
  InvalidInputError,
  type Logger,
  parseJson,
  type Random,
  stringifyJson,
  systemClock,
  systemRandom,
  toError,
} from '../base/index.ts'
import { AllocatorError, leaderHeader, leadingPath, tryAgainCode } from './allocator-error.ts'
import { type AuthoritiesSource, Connector } from './connector.ts'
import { callHttps, type HttpsReply } from './https-call.ts'
import { LeaderFinder } from './leader-finder.ts'
import { parseAllocateResponse, parseFailure, parseNodeReportAnswer } from './messages.ts'
import { type Place, Replicas, type Resolve } from './replicas.ts'

export interface AllocatorClientOptions {
  /** `https://host:port` of the controller's replicas, or of a name for all of them: each of its addresses is asked. */
  readonly urls: readonly string[]
  /**
   * PEM of the authorities; or a file with them, which is read again when it changes; or where else to read them, which is asked
   * again when a certificate is not trusted.
   */
  readonly ca: AuthoritiesSource
  /** The name in the controller's certificate, where it is not the host of the URL. */
  readonly servername?: string
  /** Asked for each try, so that a rotated token counts at once. */
  readonly token: () => string | Promise<string>
  readonly logger: Logger
  readonly random?: Random
  readonly tryMs?: number
  readonly resolve?: Resolve
}

/** The allocator as an agent asks it. Every call may be repeated without harm, so all are, within the time given. */
export interface AllocatorClient {
  /** @throws {AllocatorError} */
  allocate(request: AllocateRequest, signal: AbortSignal): Promise<AllocateResponse>
  release(request: ReleaseRequest, signal: AbortSignal): Promise<void>
  check(request: CheckRequest, signal: AbortSignal): Promise<void>
  nodeReport(report: NodeReport, signal: AbortSignal): Promise<NodeReportAnswer>
  close(): void
}

// One lost packet must not use up the whole time of an ADD.
const defaultTryMs = 15_000
const otherBudgetMs = 30_000
const maxCallsAtOnce = 1024
const maxReplyBytes = 4 * 1024 * 1024
const maxHopsInARow = 3

/** Makes the agent's side of the calls to the controller. @throws {InvalidInputError} on a URL that is not https */
export function createAllocatorClient(options: AllocatorClientOptions): AllocatorClient {
  return new Client(options)
}

type Outcome =
  | { readonly kind: 'done'; readonly body: unknown }
  | {
      readonly kind: 'again'
      readonly failure: RpcFailure
      /** The time of the whole call ended before that of one try: what stood in its way before says more. */
      readonly isCut?: boolean
      readonly leader?: Place
      readonly retryAfterMs?: number
    }
  | { readonly kind: 'refused'; readonly failure: RpcFailure }

class Client implements AllocatorClient {
  readonly #options: AllocatorClientOptions
  readonly #random: Random
  readonly #replicas: Replicas
  readonly #finder: LeaderFinder
  readonly #connector: Connector
  #calls = 0

  constructor(options: AllocatorClientOptions) {
    this.#options = options
    this.#connector = new Connector(options)
    this.#random = options.random ?? systemRandom
    const replicas = new Replicas(options.urls, options.servername, options.resolve)
    const ask = (place: Place, signal: AbortSignal) => this.#askLeader(place, signal)
    this.#replicas = replicas
    this.#finder = new LeaderFinder({ replicas, ask, clock: systemClock, random: this.#random })
  }

  async allocate(request: AllocateRequest, signal: AbortSignal): Promise<AllocateResponse> {
    const body = (leftMs: number) => ({ ...request, budgetMs: Math.max(1, Math.floor(leftMs)) })
    const call = {
      path: allocatorPaths.allocate,
      budgetMs: request.budgetMs,
      body,
      parse: parseAllocateResponse,
    }
    return this.#call(call, signal)
  }

  async release(request: ReleaseRequest, signal: AbortSignal): Promise<void> {
    await this.#call({ path: allocatorPaths.release, body: () => request, ...plain }, signal)
  }

  async check(request: CheckRequest, signal: AbortSignal): Promise<void> {
    await this.#call({ path: allocatorPaths.check, body: () => request, ...plain }, signal)
  }

  nodeReport(report: NodeReport, signal: AbortSignal): Promise<NodeReportAnswer> {
    const call = { path: allocatorPaths.nodeReport, body: () => report, budgetMs: otherBudgetMs }
    return this.#call({ ...call, parse: parseNodeReportAnswer }, signal)
  }

  close(): void {
    this.#finder.close()
    this.#connector.close()
  }

  async #call<T>(call: Call<T>, signal: AbortSignal): Promise<T> {
    if (this.#calls >= maxCallsAtOnce) {
      throw new AllocatorError(unreachable(`${maxCallsAtOnce} calls are under way already`))
    }
    this.#calls += 1
    try {
      return await this.#callUntilDone(call, signal)
    } finally {
      this.#calls -= 1
    }
  }

  async #callUntilDone<T>(call: Call<T>, signal: AbortSignal): Promise<T> {
    const startedMs = performance.now()
    let endMs = startedMs + call.budgetMs
    const backoff = new Backoff({ firstMs: 50, capMs: 2000 }, this.#random)
    let hops = 0
    let told: RpcFailure | undefined
    for (;;) {
      const target = this.#replicas.current
      const outcome = await this.#try(call, { target, leftMs: endMs - performance.now() }, signal)
      if (outcome.kind === 'done') return outcome.body as T
      if (outcome.kind === 'refused') throw new AllocatorError(outcome.failure)
      if (outcome.failure.isWaiting) endMs = Math.min(endMs, startedMs + waitingMs)
      if (outcome.isCut !== true || told === undefined) told = outcome.failure
      const failure = told
      if (outcome.leader !== undefined && hops < maxHopsInARow) {
        hops += 1
        this.#replicas.follow(outcome.leader)
        continue
      }
      hops = 0
      this.#replicas.turnFrom(target)
      const waitMs = Math.max(backoff.nextMs(), outcome.retryAfterMs ?? 0)
      this.#options.logger.debug('allocator call to be repeated', {
        path: call.path,
        err: outcome.failure.msg,
        waitMs,
      })
      if (signal.aborted || performance.now() + waitMs >= endMs) throw this.#given(failure, signal)
      await systemClock.sleep(waitMs, signal).catch(() => {
        throw this.#given(failure, signal)
      })
    }
  }

  // The caller's own abort stays what it is; a deadline is told with what stood in the way.
  #given(failure: RpcFailure, signal: AbortSignal): unknown {
    const { reason } = signal
    const isDeadline = !signal.aborted || (reason instanceof DOMException && reason.name === 'TimeoutError')
    return isDeadline ? new AllocatorError(failure) : reason
  }

  async #try<T>(
    call: Call<T>,
    { target, leftMs }: { readonly target: Place; readonly leftMs: number },
    signal: AbortSignal,
  ): Promise<Outcome> {
    const attempt = new AbortController()
    const { tryMs = defaultTryMs } = this.#options
    const limitMs = Math.max(1, Math.min(leftMs, tryMs))
    const timer = setTimeout(() => attempt.abort(), limitMs)
    const onAbort = () => attempt.abort()
    signal.addEventListener('abort', onAbort, { once: true })
    let leader: Place | undefined
    const waited = this.#finder.wait(target, (found) => {
      leader = found
      attempt.abort()
    })
    try {
      if (signal.aborted) attempt.abort()
      const headers = { authorization: `Bearer ${(await this.#options.token()).trim()}` }
      const body = stringifyJson(call.body(leftMs))
      const agent = await this.#connector.agent(attempt.signal)
      const request = { method: 'POST', place: target, path: call.path, headers, body } as const
      const reply = await callHttps({ ...request, agent, maxReplyBytes }, attempt.signal)
      return outcomeOf(reply, call, this.#hintOf(reply))
    } catch (error) {
      this.#connector.noteFailure(toError(error))
      const state = attempt.signal.aborted
        ? `no answer within ${Math.round(limitMs)} ms`
        : toError(error).message
      const failure = unreachable(`${target.url}: ${state}`)
      const isCut = attempt.signal.aborted && limitMs < tryMs
      return { kind: 'again', failure, isCut, ...(leader === undefined ? {} : { leader }) }
    } finally {
      waited()
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
    }
  }

  /** Whether a place leads, or whom it takes for the leader. */
  async #askLeader(place: Place, signal: AbortSignal): Promise<Place | undefined> {
    const agent = await this.#connector.agent(signal)
    const request = { method: 'GET', place, path: leadingPath, agent } as const
    try {
      const reply = await callHttps({ ...request, maxReplyBytes }, signal)
      return reply.status === 200 ? place : this.#hintOf(reply)
    } catch (error) {
      this.#connector.noteFailure(toError(error))
      throw error
    }
  }

  // The certificate of the place that it names is checked as any other.
  #hintOf({ status, headers }: HttpsReply): Place | undefined {
    const hint = headers[leaderHeader]
    return status === 503 && typeof hint === 'string' ? this.#replicas.placeOfHint(hint) : undefined
  }
}

interface Call<T> {
  readonly path: string
  readonly budgetMs: number
  readonly body: (leftMs: number) => unknown
  readonly parse: (body: unknown) => T
}

/** The runtime comes again by itself, and until then others of the node have the place of the call. */
const waitingMs = 2000

const plain = { budgetMs: otherBudgetMs, parse: () => undefined }

function unreachable(state: string): RpcFailure {
  const details =
    'allocator-unreachable: check that the controller runs and that its address and CA file are right'
  return { code: tryAgainCode, msg: `Cannot reach the allocator: ${state}`, details }
}

function outcomeOf<T>(reply: HttpsReply, call: Call<T>, leader: Place | undefined): Outcome {
  const body = readJson(reply.body)
  if (reply.status === 200) {
    try {
      return { kind: 'done', body: call.parse(body) }
    } catch (error) {
      if (!(error instanceof InvalidInputError)) throw error
      return { kind: 'again', failure: unreachable(`its answer is not usable: ${error.message}`) }
    }
  }
  const failure = parseFailure(body) ?? unreachable(`it answered status ${reply.status}`)
  const isPassing =
    reply.status === 401 || reply.status === 429 || (reply.status >= 502 && reply.status <= 504)
  if (!isPassing && failure.code !== tryAgainCode) return { kind: 'refused', failure }
  const seconds = Number(reply.headers['retry-after'])
  return {
    kind: 'again',
    failure: { ...failure, code: tryAgainCode },
    ...(leader === undefined ? {} : { leader }),
    ...(Number.isFinite(seconds) && seconds > 0 ? { retryAfterMs: Math.min(seconds, 60) * 1000 } : {}),
  }
}

function readJson(body: Buffer | 'too-long'): unknown {
  if (body === 'too-long') return undefined
  try {
    return parseJson(body.toString('utf8'))
  } catch {
    return undefined
  }
}
