import { isDeepStrictEqual } from 'node:util'
import type { KubeObject, Resource } from '../../../src/api/index.ts'
import { failureOfStatus } from '../../../src/kube/api-error.ts'
import { ApiError, type ListOptions, type ObjectRef } from '../../../src/kube/index.ts'

/** One change of one object, as a watch tells it. */
export interface Change {
  readonly version: number
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'
  readonly object: KubeObject
}

interface Collection {
  readonly objects: Map<string, KubeObject>
  readonly log: Change[]
}

type Members = Readonly<Record<string, unknown>>

/** The objects of a cluster in memory: versions, preconditions, finalizers and a log for watches. Objects are never changed in place. */
export class ApiServer {
  readonly #collections = new Map<string, Collection>()
  readonly #listeners = new Set<(resource: Resource, change: Change) => void>()
  #version = 0
  #uids = 0

  get version(): string {
    return String(this.#version)
  }

  onChange(listener: (resource: Resource, change: Change) => void): void {
    this.#listeners.add(listener)
  }

  log(resource: Resource): readonly Change[] {
    return this.#of(resource).log
  }

  get<T extends KubeObject>(resource: Resource, ref: ObjectRef): T | undefined {
    return this.#of(resource).objects.get(keyOf(ref)) as T | undefined
  }

  list<T extends KubeObject>(resource: Resource, { namespace, fieldSelector }: ListOptions = {}): T[] {
    const [field, wanted] = fieldSelector?.split('=') ?? []
    const objects = [...this.#of(resource).objects.values()] as T[]
    return objects.filter((object) => {
      if (namespace !== undefined && object.metadata.namespace !== namespace) return false
      if (field === 'metadata.name') return object.metadata.name === wanted
      const spec = (object as { spec?: { nodeName?: string } }).spec
      return field !== 'spec.nodeName' || spec?.nodeName === wanted
    })
  }

  create<T extends KubeObject>(resource: Resource, object: T): T {
    const { objects } = this.#of(resource)
    const key = keyOf(object.metadata)
    if (objects.has(key)) throw refusal(`create ${key}`, 409)
    const uid = object.metadata.uid ?? `uid-${++this.#uids}`
    return this.#put(resource, key, { ...object, metadata: { ...object.metadata, uid } }, 'ADDED') as T
  }

  /** A merge patch; `metadata.resourceVersion` in it is a precondition. */
  patch<T extends KubeObject>(resource: Resource, ref: ObjectRef, body: unknown): T {
    const key = keyOf(ref)
    const before = this.#of(resource).objects.get(key)
    if (before === undefined) throw refusal(`patch ${key}`, 404)
    const wanted = (body as Partial<KubeObject>).metadata?.resourceVersion
    if (wanted !== undefined && wanted !== before.metadata.resourceVersion) throw refusal(`patch ${key}`, 409)
    const after = merged(before, body) as KubeObject
    if (isDeepStrictEqual(after, before)) return before as T
    const { deletionTimestamp, finalizers = [] } = after.metadata
    if (deletionTimestamp !== undefined && finalizers.length === 0) {
      this.#remove(resource, key, after)
      return after as T
    }
    return this.#put(resource, key, after, 'MODIFIED') as T
  }

  /** Success also when it is not there; what has finalizers, or a grace period, only begins to go. */
  delete(resource: Resource, ref: ObjectRef, options: { uid?: string; isGraceful?: boolean } = {}): void {
    const key = keyOf(ref)
    const before = this.#of(resource).objects.get(key)
    if (before === undefined) return
    if (options.uid !== undefined && options.uid !== before.metadata.uid) throw refusal(`delete ${key}`, 409)
    const { finalizers = [], deletionTimestamp } = before.metadata
    if (finalizers.length === 0 && options.isGraceful !== true) {
      this.#remove(resource, key, before)
      return
    }
    if (deletionTimestamp !== undefined) return
    const metadata = { ...before.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' }
    this.#put(resource, key, { ...before, metadata }, 'MODIFIED')
  }

  #put(resource: Resource, key: string, object: KubeObject, type: 'ADDED' | 'MODIFIED'): KubeObject {
    const version = ++this.#version
    const metadata = { ...object.metadata, resourceVersion: String(version) }
    const stored = { ...object, metadata }
    this.#of(resource).objects.set(key, stored)
    this.#tell(resource, { version, type, object: stored })
    return stored
  }

  #remove(resource: Resource, key: string, object: KubeObject): void {
    this.#of(resource).objects.delete(key)
    const version = ++this.#version
    const metadata = { ...object.metadata, resourceVersion: String(version) }
    this.#tell(resource, { version, type: 'DELETED', object: { ...object, metadata } })
  }

  #tell(resource: Resource, change: Change): void {
    this.#of(resource).log.push(change)
    for (const listener of this.#listeners) listener(resource, change)
  }

  #of({ plural }: Resource): Collection {
    let found = this.#collections.get(plural)
    if (found === undefined) {
      found = { objects: new Map(), log: [] }
      this.#collections.set(plural, found)
    }
    return found
  }
}

export function refusal(action: string, status: number): ApiError {
  return new ApiError(action, failureOfStatus(status, { message: `the simulation says ${status}` }))
}

function keyOf({ namespace = '', name }: ObjectRef): string {
  return `${namespace}/${name}`
}

/** RFC 7396. */
function merged(before: unknown, patch: unknown): unknown {
  if (!isMembers(patch)) return patch
  const after: Record<string, unknown> = isMembers(before) ? { ...before } : {}
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete after[key]
    else if (value !== undefined) after[key] = merged(after[key], value)
  }
  return after
}

function isMembers(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
