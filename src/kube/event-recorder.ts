import { createHash } from 'node:crypto'
import { type EventObject, type ObjectMeta, resources } from '../api/index.ts'
import { type Clock, deadlineAfter, type Logger, toError } from '../base/index.ts'
import { ApiError } from './api-error.ts'
import type { KubeApi, ObjectRef } from './kube-api.ts'

const maxWaiting = 2_000
const maxRemembered = 5_000
const maxMessageCharacters = 1_024
const maxNameCharacters = 200
const writeBudgetMs = 10_000
/** The same event on the same object is written at most this often; the count goes on in memory. */
const quietMs = 10_000
/** Texts that differ, of one reason and object: so many at once, and one more after each pause. */
const maxTexts = 10
const textPauseMs = 60_000

/** The object an event is about. */
export interface EventSubject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: Pick<ObjectMeta, 'name' | 'namespace' | 'uid'>
}

/** Who tells. */
export interface EventSource {
  readonly component: string
  readonly host?: string
}

/** Says something about an object to the people who look at it. Never fails, never blocks; bounded. */
export interface EventRecorder {
  event(subject: EventSubject, type: 'Normal' | 'Warning', reason: string, message: string): void
  /** Takes no more events, and writes those that wait until `signal` aborts. */
  close(signal: AbortSignal): Promise<void>
}

/** Writes core/v1 Events behind the work that they tell of: the same text on the same object as one, with a count. */
export function createEventRecorder(
  api: KubeApi,
  source: EventSource,
  clock: Clock,
  logger: Logger,
): EventRecorder {
  return new Recorder(api, source, clock, logger)
}

interface Told {
  readonly subject: EventSubject
  readonly type: 'Normal' | 'Warning'
  readonly reason: string
  readonly message: string
  readonly firstMs: number
  lastMs: number
  count: number
  writtenMs: number
  isThere: boolean
}

class Recorder implements EventRecorder {
  readonly #api: KubeApi
  readonly #source: EventSource
  readonly #clock: Clock
  readonly #logger: Logger
  /** By namespace and name of the event, in the order of last use: the first is the one to forget. */
  readonly #told = new Map<string, Told>()
  /** By object and reason, in the order of last use: when the texts that were told are paid for. */
  readonly #texts = new Map<string, number>()
  readonly #waiting = new Set<string>()
  readonly #stop = new AbortController()
  #worker: Promise<void> | undefined
  #isClosed = false
  #dropped = 0

  constructor(api: KubeApi, source: EventSource, clock: Clock, logger: Logger) {
    this.#api = api
    this.#source = source
    this.#clock = clock
    this.#logger = logger
  }

  event(subject: EventSubject, type: 'Normal' | 'Warning', reason: string, text: string): void {
    if (this.#isClosed) return
    const message =
      text.length > maxMessageCharacters ? `${text.slice(0, maxMessageCharacters - 3)}...` : text
    const key = keyOf(subject, reason, message)
    const nowMs = this.#clock.nowMs()
    const before = this.#told.get(key)
    if (before === undefined && !this.#maySay(`${subject.metadata.uid} ${reason}`, nowMs)) return
    const fresh = { subject, type, reason, message, firstMs: nowMs, lastMs: nowMs, count: 0 }
    const told = before ?? { ...fresh, writtenMs: Number.NEGATIVE_INFINITY, isThere: false }
    told.count += 1
    told.lastMs = nowMs
    remember(this.#told, key, told)
    if (nowMs - told.writtenMs < quietMs || this.#waiting.has(key)) return
    if (this.#waiting.size >= maxWaiting) {
      this.#drop()
      return
    }
    told.writtenMs = nowMs
    this.#waiting.add(key)
    this.#worker ??= this.#work()
  }

  async close(signal: AbortSignal): Promise<void> {
    this.#isClosed = true
    const giveUp = () => {
      this.#waiting.clear()
      this.#stop.abort(signal.reason)
    }
    if (signal.aborted) giveUp()
    else signal.addEventListener('abort', giveUp, { once: true })
    await this.#worker
    signal.removeEventListener('abort', giveUp)
  }

  /** A text with a number in it that changes each time must not make an event each time. */
  #maySay(series: string, nowMs: number): boolean {
    const paidMs = Math.max(this.#texts.get(series) ?? 0, nowMs - maxTexts * textPauseMs) + textPauseMs
    if (paidMs > nowMs) return false
    remember(this.#texts, series, paidMs)
    return true
  }

  #drop(): void {
    this.#dropped += 1
    if (this.#dropped % maxWaiting === 1) this.#logger.warn('events are dropped', { count: this.#dropped })
  }

  async #work(): Promise<void> {
    for (const key of this.#waiting) {
      this.#waiting.delete(key)
      const told = this.#told.get(key)
      if (told !== undefined) await this.#write(key, told)
    }
    this.#worker = undefined
  }

  async #write(key: string, told: Told): Promise<void> {
    const [namespace = '', name = ''] = key.split('/')
    using deadline = deadlineAfter(writeBudgetMs, this.#stop.signal)
    try {
      if (told.isThere && (await this.#patch({ namespace, name }, told, deadline.signal))) return
      await this.#create({ namespace, name }, told, deadline.signal)
      told.isThere = true
    } catch (error) {
      if (this.#stop.signal.aborted) return
      // A namespace that goes takes no events any more.
      const isRefused = error instanceof ApiError && (error.status === 403 || error.status === 404)
      const fields = { namespace, reason: told.reason, err: toError(error).message }
      if (isRefused) this.#logger.debug('event refused', fields)
      else this.#logger.warn('event not written', fields)
    }
  }

  async #create(ref: ObjectRef, told: Told, signal: AbortSignal): Promise<void> {
    try {
      await this.#api.create(resources.event, eventOf(ref, told, this.#source), signal)
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 409) throw error
      // Told before a restart, or by the leader before this one.
      await this.#patch(ref, told, signal)
    }
  }

  /** @returns false when the event is gone: they expire */
  async #patch(ref: ObjectRef, told: Told, signal: AbortSignal): Promise<boolean> {
    const body = { count: told.count, lastTimestamp: isoSeconds(told.lastMs) }
    try {
      await this.#api.patch(resources.event, ref, { type: 'merge', body }, signal)
      return true
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return false
      throw error
    }
  }
}

function remember<T>(map: Map<string, T>, key: string, value: T): void {
  map.delete(key)
  map.set(key, value)
  const oldest = map.keys().next()
  if (map.size > maxRemembered && oldest.done !== true) map.delete(oldest.value)
}

function keyOf({ kind, metadata }: EventSubject, reason: string, message: string): string {
  const { name, namespace = 'default', uid = '' } = metadata
  const hash = createHash('sha256').update([kind, uid, reason, message].join('\0')).digest('hex')
  const start = name.slice(0, maxNameCharacters).replace(/[-.]+$/, '')
  return `${namespace}/${start}.${hash.slice(0, 16)}`
}

function eventOf(ref: ObjectRef, told: Told, source: EventSource): EventObject {
  const { apiVersion, kind, metadata } = told.subject
  const { name, namespace, uid } = metadata
  return {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: ref,
    involvedObject: {
      apiVersion,
      kind,
      name,
      ...(namespace === undefined ? {} : { namespace }),
      ...(uid === undefined ? {} : { uid }),
    },
    reason: told.reason,
    message: told.message,
    type: told.type,
    count: told.count,
    firstTimestamp: isoSeconds(told.firstMs),
    lastTimestamp: isoSeconds(told.lastMs),
    source,
  }
}

/** metav1.Time has seconds only. */
function isoSeconds(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`
}
