import { compileWildcard, type IpVersion, isWildcard, type SpiderIpPool } from '../../api/index.ts'
import { versionOf } from '../pool/offered.ts'
import { isAutoCreated } from './application.ts'
import { bitsOfPool, type RuleBits, type Verdict } from './filters.ts'
import { hasItems } from './rules.ts'

/** What selection asks of a pool for each pod, worked out once for each version of the pool. */
export interface IndexedPool {
  readonly pool: SpiderIpPool
  readonly version: IpVersion
  readonly bits: RuleBits
  /** Lower is tried first. */
  readonly rank: number
  /** The verdict when nothing refuses. */
  readonly pass: Verdict
}

const cachedPatterns = 256

/** Pools by name, by family and by wildcard. Made anew when any pool changed; what did not change is kept. */
export class PoolIndex {
  /** Some pool is for one application: the top owner of a pod matters. */
  readonly hasApplications: boolean
  readonly #pools: readonly SpiderIpPool[]
  readonly #byName: ReadonlyMap<string, SpiderIpPool>
  readonly #sorted = new Map<IpVersion, readonly IndexedPool[]>()
  readonly #defaults = new Map<IpVersion, readonly IndexedPool[]>()
  readonly #matching = new Map<string, readonly IndexedPool[]>()

  constructor(pools: ReadonlyMap<string, SpiderIpPool>) {
    this.#byName = pools
    this.#pools = [...pools.values()]
    this.hasApplications = this.#pools.some(isAutoCreated)
  }

  /** True while the map still holds the very pools that the index was made of. */
  isCurrent(): boolean {
    if (this.#byName.size !== this.#pools.length) return false
    let at = 0
    for (const pool of this.#byName.values()) if (pool !== this.#pools[at++]) return false
    return true
  }

  find(name: string): IndexedPool | undefined {
    const pool = this.#byName.get(name)
    return pool === undefined ? undefined : indexedPool(pool)
  }

  /** Those with spec.default, by name. */
  defaults(version: IpVersion): readonly IndexedPool[] {
    return kept(this.#defaults, version, () =>
      this.#ofFamily(version).filter(({ pool }) => pool.spec.default === true),
    )
  }

  /**
   * Those whose name fits, by name.
   * @throws {InvalidInputError} on a bad pattern, which is `field`'s
   */
  matching(pattern: string, version: IpVersion, field: string): readonly IndexedPool[] {
    // Who makes pods writes patterns: what is kept of them has an end, and the oldest gives way.
    const [oldest] = this.#matching.keys()
    if (oldest !== undefined && this.#matching.size >= cachedPatterns) this.#matching.delete(oldest)
    return kept(this.#matching, `${version} ${pattern}`, () => {
      const fits = compileWildcard(pattern, field)
      return this.#ofFamily(version).filter(({ pool }) => fits(pool.metadata.name))
    })
  }

  /**
   * What a list of references means: names as they stand, wildcards replaced by what they match, each pool once where it came
   * first (spec/ipam.md §4.3).
   * @throws {InvalidInputError} on a bad pattern
   */
  named(
    entries: readonly string[],
    version: IpVersion,
    field: string,
  ): { readonly pools: readonly IndexedPool[]; readonly missing: readonly string[] } {
    const [only] = entries
    if (entries.length === 1 && only !== undefined && isWildcard(only))
      return { pools: this.matching(only, version, field), missing: [] }
    const found = new Set<IndexedPool>()
    const missing = new Set<string>()
    for (const entry of entries) {
      if (isWildcard(entry)) for (const one of this.matching(entry, version, field)) found.add(one)
      else {
        const one = this.find(entry)
        if (one === undefined) missing.add(entry)
        else found.add(one)
      }
    }
    return { pools: [...found], missing: [...missing] }
  }

  #ofFamily(version: IpVersion): readonly IndexedPool[] {
    return kept(this.#sorted, version, () =>
      this.#pools
        .map(indexedPool)
        .filter((one) => one.version === version)
        .sort((a, b) => (a.pool.metadata.name < b.pool.metadata.name ? -1 : 1)),
    )
  }
}

const indexes = new WeakMap<ReadonlyMap<string, SpiderIpPool>, PoolIndex>()

/** The index of these pools. Whoever changes the map in place gets a new one too. */
export function indexOf(pools: ReadonlyMap<string, SpiderIpPool>): PoolIndex {
  const known = indexes.get(pools)
  if (known?.isCurrent() === true) return known
  const index = new PoolIndex(pools)
  indexes.set(pools, index)
  return index
}

/** Some of the pools is for one application: who is on top of a pod matters. */
export function hasApplicationPools(pools: ReadonlyMap<string, SpiderIpPool>): boolean {
  return indexOf(pools).hasApplications
}

const indexed = new WeakMap<SpiderIpPool, IndexedPool>()

function indexedPool(pool: SpiderIpPool): IndexedPool {
  return kept(indexed, pool, () => ({
    pool,
    version: versionOf(pool),
    bits: bitsOfPool(pool),
    rank: rankOf(pool),
    pass: { pool: pool.metadata.name, kind: 'pass' },
  }))
}

/** "Has the field" before "has not", the first field weighing most (spec/ipam.md §7). */
function rankOf({ spec }: SpiderIpPool): number {
  const has = [
    spec.podAffinity !== undefined,
    hasItems(spec.nodeName),
    spec.nodeAffinity !== undefined,
    hasItems(spec.namespaceName),
    spec.namespaceAffinity !== undefined,
    hasItems(spec.multusName),
  ]
  return has.reduce((rank, isThere) => rank * 2 + (isThere ? 0 : 1), 0)
}

interface Store<K, V> {
  get(key: K): V | undefined
  set(key: K, value: V): unknown
}

function kept<K, V>(store: Store<K, V>, key: K, make: () => V): V {
  const known = store.get(key)
  if (known !== undefined) return known
  const made = make()
  store.set(key, made)
  return made
}
