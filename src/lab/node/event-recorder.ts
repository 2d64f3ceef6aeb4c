import { type EventObject, type Pod, resources } from '../../api/index.ts'
import type { Clock, Logger } from '../../base/index.ts'
import type { KubeApi } from '../../kube/index.ts'

const writeBudgetMs = 10_000
const maxKnown = 4096
const maxMessageChars = 1024

interface Known {
  readonly name: string
  readonly firstTimestamp: string
  count: number
}

/** Writes core/v1 Events about pods, one object for all that say the same: its `count` grows. */
export class EventRecorder {
  readonly #api: KubeApi
  readonly #host: string
  readonly #clock: Clock
  readonly #logger: Logger
  // In the order of last use, so that the first is the one to forget.
  readonly #known = new Map<string, Known>()
  #sequence = 0

  constructor(options: { api: KubeApi; host: string; clock: Clock; logger: Logger }) {
    this.#api = options.api
    this.#host = options.host
    this.#clock = options.clock
    this.#logger = options.logger
  }

  /** An event that cannot be written is logged; the work it tells of goes on. */
  async record(
    pod: Pod,
    event: { readonly type: 'Normal' | 'Warning'; readonly reason: string; readonly message: string },
    signal: AbortSignal,
  ): Promise<void> {
    const message = event.message.slice(0, maxMessageChars)
    const deadline = AbortSignal.any([signal, AbortSignal.timeout(writeBudgetMs)])
    try {
      await this.#write(pod, { ...event, message }, deadline)
    } catch (error) {
      if (signal.aborted) return
      const fields = { pod: pod.metadata.name, namespace: pod.metadata.namespace, reason: event.reason }
      this.#logger.warn('event not written', { ...fields, err: error })
    }
  }

  async #write(
    pod: Pod,
    event: { readonly type: 'Normal' | 'Warning'; readonly reason: string; readonly message: string },
    signal: AbortSignal,
  ): Promise<void> {
    const key = `${pod.metadata.uid} ${event.reason} ${event.message}`
    const namespace = pod.metadata.namespace ?? 'default'
    const now = new Date(this.#clock.nowMs()).toISOString().replace(/\.\d+Z$/, 'Z')
    const known = this.#known.get(key)
    if (known !== undefined) {
      known.count++
      this.#remember(key, known)
      const body = { count: known.count, lastTimestamp: now }
      if (await this.#patch({ name: known.name, namespace }, body, signal)) return
    }
    const name = `${pod.metadata.name}.${this.#clock.nowMs().toString(16)}${(this.#sequence++).toString(16)}`
    this.#remember(key, { name, firstTimestamp: now, count: 1 })
    await this.#api.create<EventObject>(
      resources.event,
      {
        apiVersion: 'v1',
        kind: 'Event',
        metadata: { name, namespace },
        involvedObject: {
          apiVersion: 'v1',
          kind: 'Pod',
          name: pod.metadata.name,
          namespace,
          ...(pod.metadata.uid === undefined ? {} : { uid: pod.metadata.uid }),
        },
        ...event,
        count: 1,
        firstTimestamp: now,
        lastTimestamp: now,
        source: { component: 'kubelet', host: this.#host },
      },
      signal,
    )
  }

  /** @returns false when the event is gone: they expire */
  async #patch(
    ref: { readonly name: string; readonly namespace: string },
    body: object,
    signal: AbortSignal,
  ): Promise<boolean> {
    try {
      await this.#api.patch(resources.event, ref, { type: 'merge', body }, signal)
      return true
    } catch (error) {
      if (error instanceof Error && 'status' in error && error.status === 404) return false
      throw error
    }
  }

  #remember(key: string, known: Known): void {
    this.#known.delete(key)
    this.#known.set(key, known)
    const [oldest] = this.#known.keys()
    if (this.#known.size > maxKnown && oldest !== undefined) this.#known.delete(oldest)
  }
}
