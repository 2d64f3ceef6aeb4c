import { createHash } from 'node:crypto'
import { type EventObject, type KubeObject, resources } from '../../api/index.ts'
import { type Clock, type Logger, toError } from '../../base/index.ts'
import { ApiError, createQueue, type KubeApi, type Queue } from '../../kube/index.ts'
import { timeText } from './model/amounts.ts'

/** What happened to an object, for `kubectl describe`. */
export interface Happening {
  readonly component: string
  readonly type: 'Normal' | 'Warning'
  readonly reason: string
  readonly message: string
}

interface Pending extends Happening {
  readonly about: KubeObject
  readonly kind: string
  readonly apiVersion: string
  readonly firstMs: number
  lastMs: number
  count: number
  isWritten: boolean
}

const maxPending = 5000
const maxMessageChars = 1024
const writesAtOnce = 4
const writeBudgetMs = 10_000

/**
 * Writes core/v1 Events behind the work that they tell of: one object for all that say the same, its `count` grows.
 * An event that cannot be written is dropped and logged; nothing waits for it.
 */
export class EventWriter {
  readonly #api: KubeApi
  readonly #clock: Clock
  readonly #logger: Logger
  // In the order of last use, so that the first is the one to forget.
  readonly #known = new Map<string, Pending>()
  readonly #queue: Queue<string>

  constructor(api: KubeApi, clock: Clock, logger: Logger) {
    this.#api = api
    this.#clock = clock
    this.#logger = logger
    const handle = async (name: string, signal: AbortSignal) => {
      await this.#write(name, signal)
      return 'settled' as const
    }
    const options = { handle, concurrency: writesAtOnce, deadlineMs: writeBudgetMs, maxKeys: maxPending }
    this.#queue = createQueue<string>(options, logger)
  }

  /** Notes a happening; it is written soon. */
  record(
    about: KubeObject,
    what: { readonly kind: string; readonly apiVersion: string },
    happening: Happening,
  ): void {
    const message = happening.message.slice(0, maxMessageChars)
    const { name, uid = '' } = about.metadata
    const digest = createHash('sha256').update(`${uid} ${happening.reason} ${message}`).digest('hex')
    const eventName = `${name.slice(0, 200)}.${digest.slice(0, 16)}`
    const key = `${about.metadata.namespace ?? 'default'}/${eventName}`
    const nowMs = this.#clock.nowMs()
    const known = this.#known.get(key)
    this.#known.delete(key)
    if (known === undefined) {
      const first = { firstMs: nowMs, lastMs: nowMs, count: 1, isWritten: false }
      this.#known.set(key, { ...happening, message, about, ...what, ...first })
    } else {
      known.count += 1
      known.lastMs = nowMs
      this.#known.set(key, known)
    }
    const [oldest] = this.#known.keys()
    if (this.#known.size > maxPending && oldest !== undefined) this.#known.delete(oldest)
    this.#queue.add(key)
  }

  async #write(key: string, signal: AbortSignal): Promise<void> {
    const pending = this.#known.get(key)
    if (pending === undefined) return
    const [namespace = '', name = ''] = key.split('/')
    try {
      if (pending.isWritten && (await this.#patch({ name, namespace }, pending, signal))) return
      await this.#api.create(resources.event, eventOf({ name, namespace }, pending), signal)
      pending.isWritten = true
    } catch (error) {
      // After a restart the same thing may have been told before: it is told again, with its count.
      if (error instanceof ApiError && error.status === 409) pending.isWritten = true
      else this.#logger.debug('event not written', { reason: pending.reason, err: toError(error).message })
    }
  }

  /** @returns false when the event is gone: they expire */
  async #patch(
    ref: { readonly name: string; readonly namespace: string },
    pending: Pending,
    signal: AbortSignal,
  ): Promise<boolean> {
    const body = { count: pending.count, lastTimestamp: timeText(pending.lastMs) }
    try {
      await this.#api.patch(resources.event, ref, { type: 'merge', body }, signal)
      return true
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return false
      throw error
    }
  }

  async close(signal: AbortSignal): Promise<void> {
    await this.#queue.close(signal)
  }
}

function eventOf(ref: { readonly name: string; readonly namespace: string }, pending: Pending): EventObject {
  const { metadata } = pending.about
  return {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: ref,
    involvedObject: {
      apiVersion: pending.apiVersion,
      kind: pending.kind,
      name: metadata.name,
      ...(metadata.namespace === undefined ? {} : { namespace: metadata.namespace }),
      ...(metadata.uid === undefined ? {} : { uid: metadata.uid }),
    },
    type: pending.type,
    reason: pending.reason,
    message: pending.message,
    count: pending.count,
    firstTimestamp: timeText(pending.firstMs),
    lastTimestamp: timeText(pending.lastMs),
    source: { component: pending.component },
  }
}
