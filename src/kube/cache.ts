import type { KubeObject, Resource } from '../api/index.ts'
import {
  Backoff,
  type Clock,
  type Logger,
  type Random,
  systemClock,
  systemRandom,
  toError,
} from '../base/index.ts'
import { ApiError } from './api-error.ts'
import type { CacheStats, KubeApi, KubeCache, ObjectRef, WatchEvent } from './kube-api.ts'
import { listByPages } from './list-pages.ts'
import { defaultSilence, SilenceGuard, type SilenceLimits } from './silence-guard.ts'

export interface CacheOptions<T extends KubeObject> {
  readonly namespace?: string
  readonly labelSelector?: string
  readonly fieldSelector?: string
  /** What to keep of each object; runs once for each object that arrives. */
  readonly trim?: (object: T) => T
  readonly timing?: Partial<CacheTiming>
  /** The cluster may not serve the resource: the cache is empty and in step then, and looks again from time to time. */
  readonly mayBeAbsent?: boolean
  readonly clock?: Clock
  readonly random?: Random
}

export interface CacheTiming {
  /** The server is asked to end each watch after a random time between these. */
  readonly watchSecondsMin: number
  readonly watchSecondsMax: number
  readonly backoffFirstMs: number
  readonly backoffCapMs: number
  /** A watch that ended cleanly and lived shorter than this is followed by a back-off. */
  readonly shortWatchMs: number
  readonly silence: SilenceLimits
  /** How long to wait before a resource that is not served is asked for again. */
  readonly absentMs: number
}

const defaultTiming: CacheTiming = {
  watchSecondsMin: 300,
  watchSecondsMax: 600,
  backoffFirstMs: 200,
  backoffCapMs: 10_000,
  shortWatchMs: 5000,
  silence: defaultSilence,
  absentMs: 5_000,
}
// A server that keeps refusing to go on from our version, whatever it calls the reason, is asked for a new list.
const maxRefusalsInARow = 4
// What a server may ask us to wait by Retry-After.
const maxAskedMs = 60_000
// Past the time that we asked for: the server should have ended the watch long ago.
const watchOverdueMs = 30_000

/**
 * Lists and then watches one resource, for ever. Starts at once; close it.
 *
 * @param api may be a background view
 */
export function createCache<T extends KubeObject>(
  api: KubeApi,
  resource: Resource,
  options: CacheOptions<T>,
  logger: Logger,
): KubeCache<T> {
  return new Cache<T>(api, resource, options, logger)
}

class Cache<T extends KubeObject> implements KubeCache<T> {
  readonly #api: KubeApi
  readonly #resource: Resource
  readonly #options: CacheOptions<T>
  readonly #timing: CacheTiming
  readonly #clock: Clock
  readonly #random: Random
  readonly #logger: Logger
  readonly #backoff: Backoff
  readonly #guard: SilenceGuard
  readonly #closing = new AbortController()
  readonly #listeners = new Set<(old: T | undefined, now: T | undefined) => void>()
  readonly #synced = Promise.withResolvers<void>()
  readonly #running: Promise<void>
  readonly #stats = {
    lists: 0,
    listFailures: 0,
    watchesOpened: 0,
    watchFailures: 0,
    silentWatches: 0,
    expired: 0,
    events: 0,
    bookmarks: 0,
    lastMessageAtMs: 0,
  }
  #objects = new Map<string, T>()
  #version: string | undefined
  #refusalsInARow = 0

  constructor(api: KubeApi, resource: Resource, options: CacheOptions<T>, logger: Logger) {
    this.#api = api
    this.#resource = resource
    this.#options = options
    this.#timing = { ...defaultTiming, ...options.timing }
    this.#guard = new SilenceGuard(this.#timing.silence)
    this.#clock = options.clock ?? systemClock
    this.#random = options.random ?? systemRandom
    this.#logger = logger.with({ resource: resource.plural })
    const { backoffFirstMs: firstMs, backoffCapMs: capMs } = this.#timing
    this.#backoff = new Backoff({ firstMs, capMs }, this.#random)
    this.#synced.promise.catch(() => undefined)
    this.#running = this.#run(this.#closing.signal)
  }

  get size(): number {
    return this.#objects.size
  }

  get(ref: ObjectRef): T | undefined {
    return this.#objects.get(keyOf(this.#resource, ref))
  }

  values(): Iterable<T> {
    return this.#objects.values()
  }

  onChange(listener: (old: T | undefined, now: T | undefined) => void): void {
    this.#listeners.add(listener)
  }

  stats(): CacheStats {
    return { ...this.#stats }
  }

  async synced(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const { promise, reject } = Promise.withResolvers<never>()
    const onAbort = () => reject(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      await Promise.race([this.#synced.promise, promise])
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }

  async close(): Promise<void> {
    this.#closing.abort()
    this.#synced.reject(new DOMException('the cache was closed before its first list', 'AbortError'))
    await this.#running
  }

  // Nothing but `close` ends this loop: a cache that stopped by itself would go stale unseen.
  async #run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        if (this.#version === undefined) this.#version = await this.#list(signal)
        else await this.#watch(this.#version, signal)
      } catch (error) {
        if (signal.aborted) return
        if (this.#isAbsent(error)) {
          this.#version = undefined
          this.#replace([])
          await this.#wait(this.#timing.absentMs, signal)
          continue
        }
        if (this.#mustListAfter(toError(error))) this.#version = undefined
        await this.#pause(signal, error instanceof ApiError ? error.retryAfterMs : undefined)
      }
    }
  }

  async #pause(signal: AbortSignal, askedMs = 0): Promise<void> {
    const waitMs = Math.max(this.#backoff.nextMs(), Math.min(askedMs, maxAskedMs))
    await this.#wait(waitMs, signal)
  }

  async #wait(ms: number, signal: AbortSignal): Promise<void> {
    await this.#clock.sleep(ms, signal).catch((error: unknown) => {
      if (!signal.aborted) throw error
    })
  }

  /** No such resource: 404 for a single object is no error. */
  #isAbsent(error: unknown): boolean {
    return this.#options.mayBeAbsent === true && error instanceof ApiError && error.status === 404
  }

  /** Counts a failure and decides whether the version that we hold can still be resumed from. */
  #mustListAfter(error: Error): boolean {
    const status = error instanceof ApiError ? error.status : 0
    const isListing = this.#version === undefined
    if (isListing) this.#stats.listFailures += 1
    else this.#stats.watchFailures += 1
    if (status === 410) {
      this.#stats.expired += 1
      this.#logger.debug('version expired, listing again')
      return true
    }
    this.#logger.warn(isListing ? 'list failed' : 'watch failed', { err: error.message })
    // After an odd event nobody knows what was missed.
    if (!(error instanceof ApiError) || error.reason === 'BadReply' || error.reason === 'TooLarge')
      return true
    if (status !== 0) this.#refusalsInARow += 1
    return this.#refusalsInARow >= maxRefusalsInARow
  }

  async #list(signal: AbortSignal): Promise<string> {
    const { trim } = this.#options
    const query = { ...this.#selection(), ...(trim === undefined ? {} : { keep: trim }) }
    const { items, resourceVersion } = await listByPages<T>(this.#api, this.#resource, query, signal)
    this.#stats.lists += 1
    this.#stats.lastMessageAtMs = this.#clock.nowMs()
    this.#refusalsInARow = 0
    this.#replace(items)
    return resourceVersion
  }

  #replace(items: readonly T[]): void {
    const next = new Map(items.map((item) => [keyOf(this.#resource, item.metadata), item]))
    const old = this.#objects
    this.#objects = next
    for (const [key, was] of old) if (!next.has(key)) this.#tell(was, undefined)
    for (const [key, now] of next) this.#tellDifference(old.get(key), now)
    this.#synced.resolve()
  }

  /** Follows one watch to its end. */
  async #watch(resourceVersion: string, signal: AbortSignal): Promise<void> {
    const { watchSecondsMin: min, watchSecondsMax: max, shortWatchMs } = this.#timing
    const timeoutSeconds = Math.round(min + this.#random.next() * (max - min))
    const openedAtMs = performance.now()
    const guarded = this.#guard.start(signal, timeoutSeconds * 1000 + watchOverdueMs)
    const query = { ...this.#selection(), resourceVersion, timeoutSeconds }
    this.#stats.watchesOpened += 1
    try {
      for await (const event of this.#api.watch<T>(this.#resource, query, guarded.signal)) {
        guarded.heard(event.type === 'BOOKMARK')
        this.#take(event)
      }
    } catch (error) {
      if (!guarded.isSilent()) throw error
      this.#stats.silentWatches += 1
      this.#logger.warn('watch was silent for too long, opening it again')
    } finally {
      guarded.stop()
      if (performance.now() - openedAtMs >= shortWatchMs) this.#backoff.reset()
    }
    // A server that ends each watch at once must not be asked in a tight loop.
    if (performance.now() - openedAtMs < shortWatchMs) await this.#pause(signal)
  }

  #selection() {
    const { namespace, labelSelector, fieldSelector } = this.#options
    return {
      ...(namespace === undefined ? {} : { namespace }),
      ...(labelSelector === undefined ? {} : { labelSelector }),
      ...(fieldSelector === undefined ? {} : { fieldSelector }),
    }
  }

  #take(event: WatchEvent<T>): void {
    this.#stats.lastMessageAtMs = this.#clock.nowMs()
    this.#refusalsInARow = 0
    this.#backoff.reset()
    if (event.type === 'BOOKMARK') this.#stats.bookmarks += 1
    else this.#change(event)
    this.#version = event.object.metadata.resourceVersion
  }

  #change({ type, object }: WatchEvent<T>): void {
    this.#stats.events += 1
    const key = keyOf(this.#resource, object.metadata)
    const old = this.#objects.get(key)
    if (type === 'DELETED') {
      this.#objects.delete(key)
      if (old !== undefined) this.#tell(old, undefined)
      return
    }
    const now = this.#options.trim === undefined ? object : this.#options.trim(object)
    this.#objects.set(key, now)
    this.#tellDifference(old, now)
  }

  #tellDifference(old: T | undefined, now: T): void {
    if (old?.metadata.resourceVersion === now.metadata.resourceVersion && old !== undefined) return
    if (old !== undefined && old.metadata.uid !== now.metadata.uid) {
      this.#tell(old, undefined)
      this.#tell(undefined, now)
      return
    }
    this.#tell(old, now)
  }

  #tell(old: T | undefined, now: T | undefined): void {
    for (const listener of this.#listeners) {
      try {
        listener(old, now)
      } catch (error) {
        this.#logger.error('a listener of the cache failed', { err: toError(error) })
      }
    }
  }
}

function keyOf(resource: Resource, ref: { readonly name: string; readonly namespace?: string }): string {
  return resource.namespaced ? `${ref.namespace ?? ''}/${ref.name}` : ref.name
}
