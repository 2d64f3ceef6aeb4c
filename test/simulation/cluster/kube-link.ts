import type { KubeObject, Resource } from '../../../src/api/index.ts'
import {
  ApiError,
  type KubeApi,
  type KubeList,
  type ListAllOptions,
  type ListOptions,
  type ObjectRef,
  type WatchEvent,
  type WatchOptions,
} from '../../../src/kube/index.ts'
import type { Scheduler } from '../scheduler.ts'
import { type ApiServer, type Change, refusal } from './api-server.ts'
import type { Faults } from './faults.ts'
import { watchMark } from './timers.ts'
import { trace } from './trace.ts'

/** Kinds of which a cache may be thrown back to an older state: they nominate. Others configure, and only lag. */
const rewindable: readonly string[] = ['pods', 'nodes', 'namespaces']

/** One process's way to the API server: every call and every answer takes its time, and some go wrong. */
export class KubeLink implements KubeApi {
  readonly #server: ApiServer
  readonly #scheduler: Scheduler
  readonly #actor: string
  readonly #faults: Faults
  readonly #waiting = new Map<readonly Change[], Set<() => void>>()

  constructor(server: ApiServer, scheduler: Scheduler, actor: string, faults: Faults) {
    this.#server = server
    this.#scheduler = scheduler
    this.#actor = actor
    this.#faults = faults
    server.onChange((resource) => {
      for (const wake of this.#waiting.get(server.log(resource)) ?? []) wake()
    })
  }

  get<T extends KubeObject>(resource: Resource, ref: ObjectRef, signal: AbortSignal): Promise<T | undefined> {
    return this.#call(`get ${resource.plural}`, () => this.#server.get<T>(resource, ref), signal)
  }
  list<T extends KubeObject>(
    resource: Resource,
    options: ListOptions,
    signal: AbortSignal,
  ): Promise<KubeList<T>> {
    const answer = () => ({
      items: this.#server.list<T>(resource, options),
      resourceVersion: this.#server.version,
    })
    return this.#call(`list ${resource.plural}`, answer, signal)
  }
  async listAll<T extends KubeObject>(
    resource: Resource,
    options: ListAllOptions<T>,
    signal: AbortSignal,
  ): Promise<KubeList<T>> {
    const { items, resourceVersion } = await this.list<T>(resource, options, signal)
    // Half a list, and then the connection breaks: what was shown of it must do no harm.
    if (this.#scheduler.chance(this.#faults.lost)) {
      for (const item of items.slice(0, this.#scheduler.below(items.length))) options.keep?.(item)
      throw broken('list')
    }
    return { items: options.keep === undefined ? items : items.map(options.keep), resourceVersion }
  }
  create<T extends KubeObject>(resource: Resource, object: T, signal: AbortSignal): Promise<T> {
    return this.#call(`create ${resource.plural}`, () => this.#server.create(resource, object), signal)
  }
  replace<T extends KubeObject>(resource: Resource, object: T, signal: AbortSignal): Promise<T> {
    return this.#call(
      `replace ${resource.plural}`,
      () => this.#server.patch<T>(resource, object.metadata, object),
      signal,
    )
  }
  patch<T extends KubeObject>(
    resource: Resource,
    ref: ObjectRef,
    { body }: { readonly body: unknown },
    signal: AbortSignal,
  ): Promise<T> {
    return this.#call(`patch ${resource.plural}`, () => this.#server.patch<T>(resource, ref, body), signal)
  }
  delete(
    resource: Resource,
    ref: ObjectRef,
    { uid }: { readonly uid?: string },
    signal: AbortSignal,
  ): Promise<void> {
    const options = uid === undefined ? {} : { uid }
    return this.#call(`delete ${resource.plural}`, () => this.#server.delete(resource, ref, options), signal)
  }
  request<T>(method: string, path: string): Promise<T> {
    return Promise.reject(new Error(`the simulation has no ${method} ${path}`))
  }
  background(): KubeApi {
    return this
  }

  async *watch<T extends KubeObject>(
    resource: Resource,
    { resourceVersion }: WatchOptions,
    signal: AbortSignal,
  ): AsyncGenerator<WatchEvent<T>> {
    const log = this.#server.log(resource)
    const from = Number(resourceVersion)
    let index = log.findIndex(({ version }) => version > from)
    if (index < 0) index = log.length
    for (;;) {
      if (index >= log.length) await this.#changed(log, index, signal)
      await this.#lag()
      signal.throwIfAborted()
      const change = log[index]
      if (change === undefined) continue
      if (this.#scheduler.chance(this.#faults.watchEnds)) return
      if (this.#scheduler.chance(this.#faults.watchEnds)) throw refusal('watch', 410)
      const isThrownBack =
        rewindable.includes(resource.plural) && this.#scheduler.chance(this.#faults.rewinds)
      index = isThrownBack ? Math.max(0, index - 1 - this.#scheduler.below(4)) : index + 1
      yield change as unknown as WatchEvent<T>
    }
  }

  async #changed(log: readonly Change[], index: number, signal: AbortSignal): Promise<void> {
    while (index >= log.length) {
      signal.throwIfAborted()
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      const onAbort = () => reject(signal.reason)
      const waiting = this.#waiting.get(log) ?? new Set()
      this.#waiting.set(log, waiting.add(resolve))
      signal.addEventListener('abort', onAbort, { once: true })
      await promise.finally(() => signal.removeEventListener('abort', onAbort))
      waiting.delete(resolve)
    }
  }

  async #lag(): Promise<void> {
    const actor = `${this.#actor}${watchMark}`
    await this.#scheduler.pause(actor)
    await this.#scheduler.pause(this.#actor)
  }

  #call<T>(action: string, atServer: () => T, signal: AbortSignal): Promise<T> {
    const { lost, unanswered, late, refused } = this.#faults
    const roll = this.#scheduler.next()
    trace(this.#scheduler.nowMs, () => `${this.#actor} calls ${action}`)
    const isWrite = !action.startsWith('get') && !action.startsWith('list')
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason)
      signal.addEventListener('abort', () => reject(signal.reason), { once: true })
      const answer = (run: () => void) => this.#scheduler.at(this.#actor, run)
      const isLost = roll < lost || this.#faults.isDown
      const isLate = !isLost && roll < lost + late
      const isUnanswered = !isLost && !isLate && roll < lost + late + unanswered
      const isRefused = !isLost && !isLate && !isUnanswered && roll < lost + late + unanswered + refused
      if (isLost || isLate) answer(() => reject(broken(action)))
      if (isLost || (isLate && !isWrite)) return
      if (isRefused)
        return answer(() => reject(refusal(action, this.#scheduler.pick([429, 500, 503]) ?? 500)))
      this.#scheduler.at('network', () => {
        let done: () => void
        try {
          const value = atServer()
          done = () => resolve(value)
        } catch (error) {
          done = () => reject(error)
        }
        // A timeout that took effect, and a connection that broke under the answer.
        const failed = this.#scheduler.chance(0.5) ? broken(action) : refusal(action, 504)
        if (!isLate) answer(isUnanswered ? () => reject(failed) : done)
      })
    })
  }
}

function broken(action: string): ApiError {
  return new ApiError(action, { status: 0, reason: 'ConnectionLost', message: 'broken', maybeApplied: true })
}
