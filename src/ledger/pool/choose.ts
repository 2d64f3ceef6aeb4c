import { type IpSet, parseIp } from '../../address/index.ts'
import type { IpVersion, SpiderIpPool } from '../../api/index.ts'
import { InvalidInputError } from '../../base/index.ts'
import type { Book } from '../blocks/book.ts'
import { PoolFullError } from '../errors.ts'
import type { PoolViews, Reserved } from './pool-view.ts'

/** One address that is wanted, and the pools to try in order. */
export interface Want {
  readonly nic: string
  readonly version: IpVersion
  readonly pools: readonly SpiderIpPool[]
}

/** An address chosen for a want, reserved in memory. */
export interface Chosen {
  readonly want: Want
  readonly pool: SpiderIpPool
  readonly ip: string
  /** When the address was released last; absent when it was never used. */
  readonly sinceMs?: number
}

/**
 * Chooses an address for every want, all or none, and reserves them.
 * @throws {PoolFullError} when a want finds all its pools full
 */
export function chooseAddresses(
  wants: readonly Want[],
  reserved: Reserved,
  views: PoolViews,
  book: Book,
): readonly Chosen[] {
  const all: Chosen[] = []
  for (const want of wants) {
    const reasons: string[] = []
    const chosen = chooseOne(want, { reserved, views, book }, reasons)
    if (chosen === undefined) {
      for (const { ip } of all) book.unreserve(ip)
      const pools = want.pools.map(({ metadata }) => metadata.name)
      throw new PoolFullError({ version: want.version, nic: want.nic, pools }, reasons)
    }
    book.reserve(chosen.ip)
    all.push(chosen)
  }
  return all
}

function chooseOne(
  want: Want,
  { reserved, views, book }: { reserved: Reserved; views: PoolViews; book: Book },
  reasons: string[],
): Chosen | undefined {
  for (const pool of want.pools) {
    const { name } = pool.metadata
    try {
      const view = views.get(pool, reserved)
      const choice = view.next()
      if (choice !== undefined) return { want, pool, ...choice }
      reasons.push(`${name}: ${usageOf(book, name, view.offered)}`)
    } catch (error) {
      if (!(error instanceof InvalidInputError)) throw error
      reasons.push(`${name}: ${error.message}`)
    }
  }
  return undefined
}

/** Why none is free, in numbers that add up also while others are served. */
function usageOf(book: Book, pool: string, offered: IpSet): string {
  const coming = [...book.beingWritten()].filter((ip) => offered.has(parseIp(ip))).length
  const written = coming === 0 ? '' : `, ${coming} being written`
  return `${book.countOfPool(pool)} allocated${written}, of ${offered.size} that it offers none is free`
}
