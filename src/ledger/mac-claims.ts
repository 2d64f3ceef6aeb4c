import { holderOf, isOfNamespace } from '../api/index.ts'
import type { Book } from './blocks/book.ts'
import { type OwnedAddress, ownerKey } from './entry.ts'
import { MacTakenError } from './errors.ts'

/** MAC addresses of allocations that are being written: what the book has is not all that is given away. */
export class MacClaims {
  readonly #book: Pick<Book, 'ofMac'>
  readonly #coming = new Map<string, OwnedAddress>()

  constructor(book: Pick<Book, 'ofMac'>) {
    this.#book = book
  }

  /**
   * Keeps the MAC addresses of the allocations from others, until what is returned is disposed of.
   * @throws {MacTakenError} when another NIC, of this owner or another, has one of them
   */
  claim(addresses: readonly OwnedAddress[]): Disposable {
    const claimed = new Set<string>()
    const release = (): void => {
      for (const mac of claimed) this.#coming.delete(mac)
    }
    for (const address of addresses) {
      const { mac } = address.entry.grant
      if (mac === undefined) continue
      const coming = this.#coming.get(mac)
      const holders = coming === undefined ? this.#book.ofMac(mac) : [coming]
      const other = holders.find((one) => !isSameNic(one, address))
      if (other !== undefined) {
        release()
        throw new MacTakenError(mac, address.entry.nic, holderFor(address, other))
      }
      claimed.add(mac)
      this.#coming.set(mac, address)
    }
    return { [Symbol.dispose]: release }
  }
}

/** Who has it, for one who may be told: others of its namespace. */
function holderFor(asker: OwnedAddress, { entry }: OwnedAddress): { pod: string; nic: string } | undefined {
  const { pod } = holderOf(entry)
  const [namespace = ''] = holderOf(asker.entry).pod.split('/')
  return isOfNamespace(pod, namespace) ? { pod, nic: entry.nic } : undefined
}

/** Both families of one NIC have its one MAC address. */
function isSameNic({ entry: a }: OwnedAddress, { entry: b }: OwnedAddress): boolean {
  return a.nic === b.nic && ownerKey(a.owner) === ownerKey(b.owner)
}
