import { controllerOf, type KubeObject } from '../../api/index.ts'
import type { KubeCache } from '../../kube/index.ts'

/** A cache that finds objects by their controller without walking over all of them. */
export class OwnedCache<T extends KubeObject> {
  readonly cache: KubeCache<T>
  readonly #byOwner = new Map<string, Map<string, T>>()

  constructor(cache: KubeCache<T>) {
    this.cache = cache
    cache.onChange((old, now) => {
      if (old !== undefined) this.#drop(old)
      if (now !== undefined) this.#put(now)
    })
  }

  /** Objects that the owner controls, and those in its namespace that nobody controls. */
  candidatesOf(owner: KubeObject): readonly T[] {
    const owned = this.#byOwner.get(owner.metadata.uid ?? '')?.values() ?? []
    const free = this.#byOwner.get(orphanKey(owner))?.values() ?? []
    return [...owned, ...free]
  }

  #put(object: T): void {
    const key = ownerKey(object)
    const group = this.#byOwner.get(key)
    if (group === undefined) this.#byOwner.set(key, new Map([[nameKey(object), object]]))
    else group.set(nameKey(object), object)
  }

  #drop(object: T): void {
    const key = ownerKey(object)
    const group = this.#byOwner.get(key)
    group?.delete(nameKey(object))
    if (group?.size === 0) this.#byOwner.delete(key)
  }
}

const nameKey = ({ metadata }: KubeObject): string => `${metadata.namespace ?? ''}/${metadata.name}`
const orphanKey = ({ metadata }: KubeObject): string => `namespace ${metadata.namespace ?? ''}`
const ownerKey = (object: KubeObject): string => controllerOf(object.metadata)?.uid ?? orphanKey(object)
