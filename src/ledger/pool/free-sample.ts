import type { IpSet, IpValue } from '../../address/index.ts'
import type { Random } from '../../base/index.ts'

/**
 * Addresses of a set, one of which is picked with equal chances. Begins with all of them, and takes memory for those only that
 * were taken out: a list whose members stand at their own index unless they were moved. The first `count` slots are in.
 */
export class FreeSample {
  readonly #offered: IpSet
  /** Index of the address in a slot, when it is not the slot's own. */
  readonly #indexes = new Map<bigint, bigint>()
  /** Slot of the address at an index, when it is not its own. */
  readonly #slots = new Map<bigint, bigint>()
  #count: bigint

  constructor(offered: IpSet) {
    this.#offered = offered
    this.#count = offered.size
  }

  /** One of them, which stays in; undefined when there is none. */
  pick(random: Random): IpValue | undefined {
    if (this.#count === 0n) return undefined
    return this.#offered.nth(this.#indexIn(below(this.#count, random)))?.value
  }

  delete(value: IpValue): void {
    const index = this.#offered.indexOf(value)
    const slot = index === undefined ? this.#count : this.#slotOf(index)
    if (index === undefined || slot >= this.#count) return
    this.#count--
    this.#swap(slot, this.#count)
  }

  add(value: IpValue): void {
    const index = this.#offered.indexOf(value)
    const slot = index === undefined ? -1n : this.#slotOf(index)
    if (slot < this.#count) return
    this.#swap(slot, this.#count)
    this.#count++
  }

  #indexIn(slot: bigint): bigint {
    return this.#indexes.get(slot) ?? slot
  }
  #slotOf(index: bigint): bigint {
    return this.#slots.get(index) ?? index
  }

  #swap(a: bigint, b: bigint): void {
    const inA = this.#indexIn(a)
    this.#put(a, this.#indexIn(b))
    this.#put(b, inA)
  }
  #put(slot: bigint, index: bigint): void {
    if (slot === index) {
      this.#indexes.delete(slot)
      this.#slots.delete(index)
    } else {
      this.#indexes.set(slot, index)
      this.#slots.set(index, slot)
    }
  }
}

/** A number in [0, limit). With 64 bits to spare, so that the remainder favours nobody by more than 2^-64. */
function below(limit: bigint, random: Random): bigint {
  let drawn = 0n
  for (let bits = limit.toString(2).length + 64; bits > 0; bits -= 32) {
    drawn = (drawn << 32n) | BigInt(Math.floor(random.next() * 2 ** 32))
  }
  return drawn % limit
}
