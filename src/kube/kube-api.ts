import type { KubeObject, Resource } from '../api/index.ts'

/** What a list answers. `resourceVersion` is opaque. */
export interface KubeList<T extends KubeObject> {
  readonly items: readonly T[]
  readonly resourceVersion: string
  readonly continueToken?: string
}

export interface ListOptions {
  readonly namespace?: string
  readonly labelSelector?: string
  readonly fieldSelector?: string
  readonly limit?: number
  readonly continueToken?: string
  /** '0' = any version from the server's cache; absent = the newest (quorum). */
  readonly resourceVersion?: string
}

export interface ListAllOptions<T extends KubeObject> extends ListOptions {
  /** What to hold of each object. Runs as its page arrives, so that a long list is never in memory as a whole. */
  readonly keep?: (object: T) => T
}

export type PatchType = 'merge' | 'json' | 'strategic' | 'apply'

/** One patch, and how it is to be answered. */
export interface Patch {
  readonly type: PatchType
  readonly body: unknown
  readonly subresource?: string
  readonly fieldManager?: string
  /** The answer has only `metadata`. */
  readonly metadataOnly?: boolean
}

export interface ObjectRef {
  readonly name: string
  readonly namespace?: string
}

/** One message of a watch. `object` carries at least `metadata.resourceVersion`; a bookmark carries nothing else. */
export interface WatchEvent<T extends KubeObject> {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK'
  readonly object: T
}

export interface WatchOptions {
  readonly namespace?: string
  readonly labelSelector?: string
  readonly fieldSelector?: string
  /** Events after this version; opaque. */
  readonly resourceVersion: string
  /** The server ends the watch after this time. */
  readonly timeoutSeconds: number
  /** Only `metadata` of the objects: who acts on their names and versions alone spares all the rest. */
  readonly metadataOnly?: boolean
}

/** The port to an API server. Every call throws an `ApiError` (an OperationError with `status` and `reason`) when refused. */
export interface KubeApi {
  /** Reads uncached. @returns undefined on 404 */
  get<T extends KubeObject>(resource: Resource, ref: ObjectRef, signal: AbortSignal): Promise<T | undefined>
  /** One page. */
  list<T extends KubeObject>(
    resource: Resource,
    options: ListOptions,
    signal: AbortSignal,
  ): Promise<KubeList<T>>
  /** All pages, as one consistent list. When a version expires in between it starts again: `keep` then sees all anew. */
  listAll<T extends KubeObject>(
    resource: Resource,
    options: ListAllOptions<T>,
    signal: AbortSignal,
  ): Promise<KubeList<T>>
  create<T extends KubeObject>(resource: Resource, object: T, signal: AbortSignal): Promise<T>
  /** PUT; only for objects that we own whole. */
  replace<T extends KubeObject>(resource: Resource, object: T, signal: AbortSignal): Promise<T>
  patch<T extends KubeObject>(
    resource: Resource,
    ref: ObjectRef,
    patch: Patch,
    signal: AbortSignal,
  ): Promise<T>
  /** Success also when the object is not there. */
  delete(
    resource: Resource,
    ref: ObjectRef,
    options: {
      readonly uid?: string
      readonly resourceVersion?: string
      readonly gracePeriodSeconds?: number
      readonly propagation?: 'Background' | 'Foreground' | 'Orphan'
    },
    signal: AbortSignal,
  ): Promise<void>
  /** Ends when the server ends it; throws an `ApiError` for a refusal and for an ERROR event (410: list again). */
  watch<T extends KubeObject>(
    resource: Resource,
    options: WatchOptions,
    signal: AbortSignal,
  ): AsyncIterable<WatchEvent<T>>
  /** Any other request, such as a subresource; JSON in and out. */
  request<T>(method: string, path: string, body: unknown, signal: AbortSignal): Promise<T>
}

/** Plain counters of one cache since its start. */
export interface CacheStats {
  readonly lists: number
  readonly listFailures: number
  readonly watchesOpened: number
  readonly watchFailures: number
  /** Watches given up because the connection was silent for too long. */
  readonly silentWatches: number
  /** 410 answers and events. */
  readonly expired: number
  readonly events: number
  readonly bookmarks: number
  /** Milliseconds since the epoch of the last message from the server; 0 before the first. */
  readonly lastMessageAtMs: number
}

/** A list-and-watch cache of one resource. Its content is a hint: what frees or convicts reads uncached. */
export interface KubeCache<T extends KubeObject> {
  /** Resolves after the first complete list. */
  synced(signal: AbortSignal): Promise<void>
  get(ref: ObjectRef): T | undefined
  /** All cached objects. */
  values(): Iterable<T>
  readonly size: number
  /** `old` or `now` is undefined for an added or deleted object; a changed uid arrives as delete, then add. */
  onChange(listener: (old: T | undefined, now: T | undefined) => void): void
  stats(): CacheStats
  close(): Promise<void>
}
