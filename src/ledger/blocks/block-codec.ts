import {
  type Block,
  type BlockSizes,
  cidrContains,
  formatCidr,
  formatIp,
  parseBlockName,
  tryParseIp,
} from '../../address/index.ts'
import type { BlockEntry, PastHolder, Quarantine, SpiderIpBlock } from '../../api/index.ts'
import { crdLimits, spiderGroup, spiderVersion } from '../../api/index.ts'
import { InvalidInputError } from '../../base/index.ts'
import { fieldsOf } from './fields.ts'
import { isCount, readEntry, readPastHolder, readQuarantine } from './read-entry.ts'

/**
 * 64 addresses of some 350 bytes. Every write carries the whole block, so a small one costs less; a burst fills several at once, each by
 * writes of its own, and every object has its price: half of this makes a fifth more writes, twice of it doubles the bytes of each
 * (docs/performance.md).
 */
export const blockSizes: BlockSizes = { v4: 26, v6: 122 }

/** A block as read and checked. */
export interface ParsedBlock {
  readonly block: Block
  readonly resourceVersion: string
  readonly term: number
  readonly entries: ReadonlyMap<string, BlockEntry>
  readonly released: ReadonlyMap<string, number>
  /** By address, whether it is over or not. */
  readonly quarantine: ReadonlyMap<string, Quarantine>
  /** Oldest first. */
  readonly history: readonly PastHolder[]
  /** Addresses whose entry cannot be read: somebody owns them, so they are never given out. */
  readonly unreadable: ReadonlySet<string>
  readonly problems: readonly string[]
}

/**
 * Checks a block that came from the API server.
 * @throws {InvalidInputError} when it is no block at all; a bad entry is set aside instead
 */
export function parseBlock(object: SpiderIpBlock): ParsedBlock {
  const block = parseBlockName(object.metadata.name)
  const spec = fieldsOf(object.spec) ?? {}
  const resourceVersion = object.metadata.resourceVersion
  if (resourceVersion === undefined || resourceVersion === '') {
    throw wrong(
      'metadata.resourceVersion',
      resourceVersion,
      'is missing',
      'read the object from an API server',
    )
  }
  const term = spec['term'] ?? 0
  if (!isCount(term))
    throw wrong('spec.term', term, 'is no whole number', 'restore the term of the last leader')
  if (term > crdLimits.term) {
    const hint = 'save the object, delete it, and create it again with the term of the last leader'
    throw wrong('spec.term', term, `is above ${crdLimits.term}, which no Lease counts to`, hint)
  }
  const problems: string[] = []
  const unreadable = new Set<string>()
  const read = <T>(field: 'entries' | 'released' | 'quarantine', item: (value: unknown) => T | undefined) =>
    readMap({ block, field, map: spec[field], item, problems, unreadable })
  const entries = read('entries', readEntry)
  const released = read('released', (time) => (isCount(time) ? time : undefined))
  const quarantine = read('quarantine', readQuarantine)
  const history = readHistory(spec['history'], problems)
  return { block, resourceVersion, term, entries, released, quarantine, history, unreadable, problems }
}

/** The members of a map by address that can be read; what cannot be is told of, and its address kept from everybody. */
function readMap<T>(source: {
  readonly block: Block
  readonly field: 'entries' | 'released' | 'quarantine'
  readonly map: unknown
  readonly item: (value: unknown) => T | undefined
  readonly problems: string[]
  readonly unreadable: Set<string>
}): Map<string, T> {
  const { block, field, item, problems, unreadable } = source
  const found = new Map<string, T>()
  for (const [key, value] of Object.entries(fieldsOf(source.map) ?? {})) {
    const ip = addressIn(block, key)
    const one = ip === key || field === 'released' ? item(value) : undefined
    if (ip === undefined) problems.push(`spec.${field}[${key}] is no address of ${formatCidr(block.cidr)}`)
    else if (one !== undefined) found.set(ip, one)
    else if (field === 'released') problems.push(`spec.released[${key}] cannot be read`)
    else {
      unreadable.add(ip)
      problems.push(`spec.${field}[${key}] cannot be read: the address stays taken`)
    }
  }
  return found
}

/** The entries of a block that can be read, by address. */
export function entriesOf({ spec }: Pick<SpiderIpBlock, 'spec'>): Readonly<Record<string, BlockEntry>> {
  const found: Record<string, BlockEntry> = {}
  for (const [ip, stored] of Object.entries(spec.entries ?? {})) {
    const entry = readEntry(stored)
    if (entry !== undefined) found[ip] = entry
  }
  return found
}

/** A block as it is created. */
export function formatBlock(block: Block, spec: Omit<SpiderIpBlock['spec'], 'cidr'>): SpiderIpBlock {
  return {
    apiVersion: `${spiderGroup}/${spiderVersion}`,
    kind: 'SpiderIPBlock',
    metadata: { name: block.name },
    spec: { cidr: formatCidr(block.cidr), ...spec },
  }
}

function wrong(field: string, value: unknown, problem: string, hint: string): InvalidInputError {
  return new InvalidInputError(`SpiderIPBlock ${field}`, value, problem, hint)
}

/** The canonical text of an address of the block. */
function addressIn(block: Block, text: string): string | undefined {
  const ip = tryParseIp(text)
  return ip !== undefined && cidrContains(block.cidr, ip) ? formatIp(ip) : undefined
}

/** Whoever cannot be read is left out: it is only told to people. */
function readHistory(value: unknown, problems: string[]): readonly PastHolder[] {
  if (value === undefined) return []
  if (!Array.isArray(value)) problems.push('spec.history is no list')
  const items = Array.isArray(value) ? value.map(readPastHolder) : []
  const found = items.filter((item) => item !== undefined)
  const lost = items.length - found.length
  if (lost > 0) problems.push(`spec.history has ${lost} items that cannot be read`)
  return found
}
