import { blockOf, formatIp, type IpAddress } from '../../address/index.ts'
import type { Quarantine, SpiderIpBlock } from '../../api/index.ts'
import {
  appendHistory,
  blockSizes,
  endedBy,
  formatBlock,
  formatEntry,
  formatPastHolder,
  heirOf,
  readEntry,
  readPastHolder,
  settled,
} from '../../ledger/index.ts'

type Spec = SpiderIpBlock['spec']

/** Tries of one edit: a busy leader writes a block every few milliseconds, so the pauses must grow beyond that. */
export const attempts = 20
export const retryMs = { firstMs: 10, capMs: 500 } as const

/**
 * The block without the owner of an address: it goes to the next who is recorded for it, else it is free, rested since now.
 * All else stays, the term of the last leader too: written with the version that was read, it is one more legal step.
 */
export function withoutOwner(block: SpiderIpBlock, ip: string, nowMs: number): SpiderIpBlock {
  const entry = readEntry(block.spec.entries?.[ip])
  if (entry === undefined) return block
  const heir = heirOf(entry)
  const { [ip]: _, ...others } = block.spec.entries ?? {}
  const released = heir === undefined ? { released: { ...block.spec.released, [ip]: nowMs } } : {}
  const entries = heir === undefined ? others : { ...others, [ip]: formatEntry(heir) }
  const ended = endedBy(ip, { before: entry, after: heir }, nowMs)
  const past = (block.spec.history ?? []).map(readPastHolder).filter((one) => one !== undefined)
  const history = appendHistory(past, ended === undefined ? [] : [ended]).map(formatPastHolder)
  return withSpec(block, { entries, ...released, history })
}

/** The entries of one request, each by itself: freeing one does not make the others look half done. */
export function withSettled(block: SpiderIpBlock, ips: readonly string[], intent: string): SpiderIpBlock {
  const entries = { ...block.spec.entries }
  let isChanged = false
  for (const ip of ips) {
    const entry = readEntry(entries[ip])
    if (entry?.intent?.id !== intent || entry.intent.ips.length === 0) continue
    entries[ip] = formatEntry(settled(entry))
    isChanged = true
  }
  return isChanged ? withSpec(block, { entries }) : block
}

export function withQuarantine(block: SpiderIpBlock, ip: string, quarantine: Quarantine): SpiderIpBlock {
  return withSpec(block, { quarantine: { ...block.spec.quarantine, [ip]: quarantine } })
}

export function withoutQuarantine(block: SpiderIpBlock, ip: string): SpiderIpBlock {
  const { [ip]: found, ...quarantine } = block.spec.quarantine ?? {}
  return found === undefined ? block : withSpec(block, { quarantine })
}

/** The block of an address that nothing was recorded in yet. A leader of any term takes it over. */
export function emptyBlockOf(address: IpAddress): SpiderIpBlock {
  return formatBlock(blockOf(address, blockSizes), { term: 0 })
}

/** A quarantine that a person asked for: nobody met another party. */
export function quarantineByHand(nowMs: number, forMs: number): Quarantine {
  return { since: nowMs, until: nowMs + forMs, pod: '', nic: '', node: '' }
}

/** Name of the SpiderReservedIP that holds one address. */
export function reservationName(address: IpAddress): string {
  if (address.version === 4) return `reserved-${formatIp(address).replaceAll('.', '-')}`
  return `reserved-${blockOf(address, { v4: 32, v6: 128 }).name}`
}

function withSpec(block: SpiderIpBlock, change: Partial<Spec>): SpiderIpBlock {
  return { ...block, spec: { ...block.spec, ...change } }
}
