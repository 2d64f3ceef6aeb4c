import type { IpValue } from '../../address/index.ts'

interface Resting {
  readonly value: IpValue
  readonly sinceMs: number
}

const compactAbove = 1024 // entries

/** Released addresses, the longest-resting first. An entry may be outdated: the caller checks what it takes. */
export class RestQueue {
  #heap: Resting[] = []

  get size(): number {
    return this.#heap.length
  }

  push(value: IpValue, sinceMs: number): void {
    const heap = this.#heap
    heap.push({ value, sinceMs })
    let at = heap.length - 1
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!this.#swapIfBefore(at, parent)) return
      at = parent
    }
  }

  pop(): Resting | undefined {
    const heap = this.#heap
    const top = heap[0]
    const last = heap.pop()
    if (last === undefined || top === undefined || heap.length === 0) return top
    heap[0] = last
    for (let at = 0; ; ) {
      const left = 2 * at + 1
      const right = left + 1
      const child = right < heap.length && this.#isBefore(right, left) ? right : left
      if (child >= heap.length || !this.#swapIfBefore(child, at)) return top
      at = child
    }
  }

  /** Drops outdated entries when they may have piled up. @param live how many can be valid at most */
  compact(live: number, isValid: (value: IpValue, sinceMs: number) => boolean): void {
    if (this.#heap.length < compactAbove || this.#heap.length < 2 * live) return
    const seen = new Set<IpValue>()
    const valid = this.#heap.filter(({ value, sinceMs }) => {
      if (seen.has(value) || !isValid(value, sinceMs)) return false
      seen.add(value)
      return true
    })
    this.#heap = []
    for (const { value, sinceMs } of valid) this.push(value, sinceMs)
  }

  #isBefore(a: number, b: number): boolean {
    const x = this.#heap[a]
    const y = this.#heap[b]
    if (x === undefined || y === undefined) return false
    return x.sinceMs < y.sinceMs || (x.sinceMs === y.sinceMs && x.value < y.value)
  }

  #swapIfBefore(a: number, b: number): boolean {
    const x = this.#heap[a]
    const y = this.#heap[b]
    if (x === undefined || y === undefined || !this.#isBefore(a, b)) return false
    this.#heap[a] = y
    this.#heap[b] = x
    return true
  }
}
