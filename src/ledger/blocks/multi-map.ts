/** Sets of strings by key. Most keys have one value, which is held without a set: there are 100,000 of them. */
export class MultiMap {
  readonly #sets = new Map<string, string | Set<string>>()

  add(key: string, value: string): void {
    const found = this.#sets.get(key)
    if (found === undefined) this.#sets.set(key, value)
    else if (typeof found !== 'string') found.add(value)
    else if (found !== value) this.#sets.set(key, new Set([found, value]))
  }

  delete(key: string, value: string): void {
    const found = this.#sets.get(key)
    if (found === value) this.#sets.delete(key)
    if (found === undefined || typeof found === 'string') return
    found.delete(value)
    if (found.size === 0) this.#sets.delete(key)
  }

  /** The values of a key in a list of its own: the caller may change the map meanwhile. */
  get(key: string): readonly string[] {
    const found = this.#sets.get(key)
    if (found === undefined) return []
    return typeof found === 'string' ? [found] : [...found]
  }

  count(key: string): number {
    const found = this.#sets.get(key)
    if (found === undefined) return 0
    return typeof found === 'string' ? 1 : found.size
  }

  keys(): IterableIterator<string> {
    return this.#sets.keys()
  }
}
