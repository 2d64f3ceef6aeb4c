import type { KubeObject, ObjectMeta, Resource } from '../../../api/index.ts'
import { type Logger, toError } from '../../../base/index.ts'
import { createCache, type KubeApi, type KubeCache } from '../../../kube/index.ts'
import { cacheKey, type World } from '../world.ts'

interface ResourceList {
  readonly resources?: readonly {
    readonly name: string
    readonly kind: string
    readonly namespaced: boolean
    readonly verbs?: readonly string[]
  }[]
}

interface GroupList {
  readonly groups?: readonly {
    readonly name: string
    readonly preferredVersion?: { readonly version: string }
    readonly versions?: readonly { readonly version: string }[]
  }[]
}

/** Of an object, what deletion needs to know. */
export type Bones = KubeObject
export type BonesChange = (resource: Resource, old: Bones | undefined, now: Bones | undefined) => void

const needed = ['list', 'watch', 'delete']
// They have no owners and no dependents, and there are many.
const ignored = new Set(['/events', 'events.k8s.io/events'])

/** All resources of the API server that can be listed and deleted, and a cache of the metadata of each. */
export class Catalog {
  readonly #world: World
  readonly #logger: Logger
  readonly #onChange: BonesChange
  readonly #entries = new Map<string, { readonly resource: Resource; readonly cache: KubeCache<Bones> }>()
  readonly #own = new Set<string>()

  constructor(world: World, onChange: BonesChange) {
    this.#world = world
    this.#logger = world.logger
    this.#onChange = onChange
  }

  /** Reads discovery; opens caches for what is new, and closes those of what is gone. */
  async refresh(signal: AbortSignal): Promise<void> {
    const found = await discover(this.#world.api, this.#logger, signal)
    const keys = new Set(found.resources.map(cacheKey))
    for (const [key, { cache }] of this.#entries) {
      // A group that did not answer may still have its kinds.
      if (keys.has(key) || !found.isComplete) continue
      this.#entries.delete(key)
      for (const object of cache.values()) this.#onChange(this.#resourceOf(key), object, undefined)
      if (this.#own.delete(key)) await cache.close()
    }
    for (const resource of found.resources) this.#open(resource)
    await Promise.all([...this.#entries.values()].map(({ cache }) => cache.synced(signal)))
  }

  #resourceOf(key: string): Resource {
    const [group = '', plural = ''] = key.split('/')
    return { group, plural, version: '', kind: '', namespaced: false }
  }

  #open(resource: Resource): void {
    const key = cacheKey(resource)
    if (this.#entries.has(key)) return
    const shared = this.#world.caches.get(key)
    const options = { trim: bonesOf }
    const cache = shared ?? createCache<Bones>(this.#world.api, resource, options, this.#logger)
    if (shared === undefined) this.#own.add(key)
    this.#entries.set(key, { resource, cache })
    cache.onChange((old, now) => {
      if (this.#entries.get(key)?.cache === cache) this.#onChange(resource, old, now)
    })
    for (const object of cache.values()) this.#onChange(resource, undefined, object)
  }

  /** The resource of a kind; undefined when the server has no such kind. */
  findKind(apiVersion: string, kind: string): Resource | undefined {
    const slash = apiVersion.indexOf('/')
    const group = slash < 0 ? '' : apiVersion.slice(0, slash)
    for (const { resource } of this.#entries.values()) {
      if (resource.group === group && resource.kind === kind) return resource
    }
    return undefined
  }

  namespacedResources(): readonly Resource[] {
    return [...this.#entries.values()].map(({ resource }) => resource).filter(({ namespaced }) => namespaced)
  }

  async close(): Promise<void> {
    const own = [...this.#own].map((key) => this.#entries.get(key)?.cache)
    this.#entries.clear()
    await Promise.all(own.map((cache) => cache?.close()))
  }
}

async function discover(
  api: KubeApi,
  logger: Logger,
  signal: AbortSignal,
): Promise<{ readonly resources: readonly Resource[]; readonly isComplete: boolean }> {
  const { groups = [] } = await api.request<GroupList>('GET', '/apis', undefined, signal)
  const versions = groups.map(({ name, preferredVersion, versions: all = [] }) => ({
    group: name,
    version: preferredVersion?.version ?? all[0]?.version ?? 'v1',
  }))
  let isComplete = true
  const lists = [{ group: '', version: 'v1' }, ...versions].map(async ({ group, version }) => {
    const path = group === '' ? '/api/v1' : `/apis/${group}/${version}`
    try {
      const list = await api.request<ResourceList>('GET', path, undefined, signal)
      return resourcesOf(list, group, version)
    } catch (error) {
      signal.throwIfAborted()
      isComplete = false
      logger.warn('an API group did not answer', { group, version, err: toError(error).message })
      return []
    }
  })
  return { resources: (await Promise.all(lists)).flat(), isComplete }
}

function resourcesOf(list: ResourceList, group: string, version: string): readonly Resource[] {
  return (list.resources ?? [])
    .filter(({ name, verbs = [] }) => !name.includes('/') && needed.every((verb) => verbs.includes(verb)))
    .map(({ name, kind, namespaced }) => ({ group, version, plural: name, kind, namespaced }))
    .filter((resource) => !ignored.has(cacheKey(resource)))
}

function bonesOf({ metadata }: Bones): Bones {
  const { name, namespace, uid, resourceVersion, deletionTimestamp, finalizers, ownerReferences } = metadata
  const kept: ObjectMeta = {
    name,
    ...(namespace === undefined ? {} : { namespace }),
    ...(uid === undefined ? {} : { uid }),
    ...(resourceVersion === undefined ? {} : { resourceVersion }),
    ...(deletionTimestamp === undefined ? {} : { deletionTimestamp }),
    ...(finalizers === undefined ? {} : { finalizers }),
    ...(ownerReferences === undefined ? {} : { ownerReferences }),
  }
  return { metadata: kept }
}
