import type { StoredRecord } from './record.ts'

/** The objects of one resource, found by key and listed in the order of keys. */
export class Collection {
  readonly #records = new Map<string, StoredRecord>()
  readonly #keys: string[] = []

  get size(): number {
    return this.#records.size
  }

  get(key: string): StoredRecord | undefined {
    return this.#records.get(key)
  }

  set(record: StoredRecord): void {
    if (!this.#records.has(record.key)) this.#keys.splice(lowerBound(this.#keys, record.key), 0, record.key)
    this.#records.set(record.key, record)
  }

  delete(key: string): void {
    if (this.#records.delete(key)) this.#keys.splice(lowerBound(this.#keys, key), 1)
  }

  /** All records, or those of one namespace, ascending by key. */
  list(namespace = ''): StoredRecord[] {
    const found: StoredRecord[] = []
    const prefix = namespace === '' ? '' : `${namespace}/`
    for (let at = lowerBound(this.#keys, prefix); at < this.#keys.length; at++) {
      const key = this.#keys[at]
      if (key === undefined || !key.startsWith(prefix)) break
      const record = this.#records.get(key)
      if (record !== undefined) found.push(record)
    }
    return found
  }
}

/** Index of the first key that is not below `key`. */
export function lowerBound(keys: readonly string[], key: string): number {
  let low = 0
  let high = keys.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((keys[middle] ?? '') < key) low = middle + 1
    else high = middle
  }
  return low
}
