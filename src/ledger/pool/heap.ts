/** A binary heap: the item that goes before all others is on top. */
export class Heap<T> {
  readonly #isBefore: (a: T, b: T) => boolean
  #items: T[] = []

  constructor(isBefore: (a: T, b: T) => boolean) {
    this.#isBefore = isBefore
  }

  get size(): number {
    return this.#items.length
  }

  peek(): T | undefined {
    return this.#items[0]
  }

  push(item: T): void {
    this.#items.push(item)
    for (let at = this.#items.length - 1; at > 0; ) {
      const parent = (at - 1) >> 1
      if (!this.#swapIfBefore(at, parent)) return
      at = parent
    }
  }

  pop(): T | undefined {
    const items = this.#items
    const top = items[0]
    const last = items.pop()
    if (last === undefined || items.length === 0) return top
    items[0] = last
    for (let at = 0; ; ) {
      const left = 2 * at + 1
      const right = left + 1
      const child = this.#isBeforeAt(right, left) ? right : left
      if (child >= items.length || !this.#swapIfBefore(child, at)) return top
      at = child
    }
  }

  /** Keeps only what passes. */
  retain(isKept: (item: T) => boolean): void {
    const kept = this.#items.filter(isKept)
    this.#items = []
    for (const item of kept) this.push(item)
  }

  #isBeforeAt(a: number, b: number): boolean {
    const x = this.#items[a]
    const y = this.#items[b]
    return x !== undefined && y !== undefined && this.#isBefore(x, y)
  }

  #swapIfBefore(a: number, b: number): boolean {
    const x = this.#items[a]
    const y = this.#items[b]
    if (x === undefined || y === undefined || !this.#isBefore(x, y)) return false
    this.#items[a] = y
    this.#items[b] = x
    return true
  }
}
