import { type IpSet, parseIp } from '../../address/index.ts'
import type { SpiderIpPool } from '../../api/index.ts'
import { InvalidInputError } from '../../base/index.ts'
import type { Book } from '../blocks/book.ts'
import { AddressRefusedError, PoolFullError } from '../errors.ts'
import type { Reserved } from './offered.ts'
import type { PoolViews } from './pool-views.ts'
import { refusalOf } from './refusal.ts'
import type { Want } from './want.ts'

/** An address chosen for a want, reserved in memory. */
export interface Chosen {
  readonly want: Want
  readonly pool: SpiderIpPool
  readonly ip: string
  /** When the address was released last; absent when it was never used. */
  readonly sinceMs?: number
}

const reasonLimit = 20 // of the addresses that a pod names, so that an Event has room for them

/** What addresses are chosen from, and for whom. */
export interface ChoosePorts {
  readonly reserved: Reserved
  readonly views: PoolViews
  readonly book: Book
  /** Of who asks: holders in other namespaces are not named to it. */
  readonly namespace: string
}

/**
 * Chooses an address for every want, all or none, and reserves them.
 * @throws {PoolFullError} when a want finds all its pools full
 * @throws {AddressRefusedError} when a want may have none of the addresses that it names
 */
export function chooseAddresses(wants: readonly Want[], ports: ChoosePorts): readonly Chosen[] {
  const { book } = ports
  const chosen = new Map<Want, Chosen>()
  // Those that name their address first: one that takes any must not take it from them.
  const inOrder = [...wants].sort((a, b) => Number(b.ips !== undefined) - Number(a.ips !== undefined))
  try {
    for (const want of inOrder) {
      const one = chooseOne(want, ports)
      book.reserve(one.ip)
      chosen.set(want, one)
    }
  } catch (error) {
    for (const { ip } of chosen.values()) book.unreserve(ip)
    throw error
  }
  return wants.flatMap((want) => chosen.get(want) ?? [])
}

function chooseOne(want: Want, ports: ChoosePorts): Chosen {
  return want.ips === undefined ? chooseAny(want, ports) : chooseNamed(want, want.ips, ports)
}

function chooseAny(want: Want, { reserved, views, book }: ChoosePorts): Chosen {
  const reasons: string[] = []
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
  const pools = want.pools.map(({ metadata }) => metadata.name)
  throw new PoolFullError({ version: want.version, nic: want.nic, pools }, reasons)
}

/** The first of the named addresses that is free and that one of the pools offers, from the first pool that does. */
function chooseNamed(want: Want, ips: readonly string[], ports: ChoosePorts): Chosen {
  const { reserved, views, book, namespace } = ports
  const sets = new Map<SpiderIpPool, IpSet | undefined>()
  const offeredOf = (pool: SpiderIpPool): IpSet | undefined => {
    if (!sets.has(pool)) sets.set(pool, offers(views, pool, reserved))
    return sets.get(pool)
  }
  const reasons: string[] = []
  let isHeld = false
  for (const text of ips) {
    const address = parseIp(text, { field: 'requested address' })
    const pool = want.pools.find((one) => offeredOf(one)?.has(address) === true)
    if (pool !== undefined && book.isFree(text)) {
      const sinceMs = book.releasedAt(text)
      return { want, pool, ip: text, ...(sinceMs === undefined ? {} : { sinceMs }) }
    }
    isHeld ||= pool !== undefined // of others the pod learns nothing but that they are not for it
    if (reasons.length >= reasonLimit) continue
    const facts = { reserved, book, namespace, isOffered: pool !== undefined }
    reasons.push(`${text} ${refusalOf(text, want, facts)}`)
  }
  throw new AddressRefusedError(want, reasons, { left: ips.length - reasons.length, isHeld })
}

/** undefined: the pool cannot be read. */
function offers(views: PoolViews, pool: SpiderIpPool, reserved: Reserved): IpSet | undefined {
  try {
    return views.get(pool, reserved).offered
  } catch (error) {
    if (error instanceof InvalidInputError) return undefined
    throw error
  }
}

/** Why none is free, in numbers that add up also while others are served. */
function usageOf(book: Book, pool: string, offered: IpSet): string {
  const coming = [...book.beingWritten()].filter((ip) => offered.has(parseIp(ip))).length
  const kept = book.quarantined().filter(({ ip }) => offered.has(parseIp(ip)) && book.isWaiting(ip)).length
  const written = coming === 0 ? '' : `, ${coming} being written`
  const quarantined = kept === 0 ? '' : `, ${kept} quarantined`
  return `${book.countOfPool(pool)} allocated${written}${quarantined}, of ${offered.size} that it offers none is free`
}
