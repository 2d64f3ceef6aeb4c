import {
  type Block,
  type BlockSizes,
  cidrContains,
  formatCidr,
  formatIp,
  parseBlockName,
  tryParseIp,
} from '../../address/index.ts'
import type {
  Attachment,
  BlockEntry,
  BlockOwner,
  DnsSettings,
  EntryGrant,
  Route,
  SpiderIpBlock,
} from '../../api/index.ts'
import { crdLimits, spiderGroup, spiderVersion } from '../../api/index.ts'
import { InvalidInputError } from '../../base/index.ts'
import { sharedText as shared, sharedData } from '../shared-data.ts'

/** Block sizes, chosen by the weight of one write against the number of objects: 128 addresses of about 0.5 KiB. */
export const blockSizes: BlockSizes = { v4: 25, v6: 121 }

/** A block as read and checked. */
export interface ParsedBlock {
  readonly block: Block
  readonly resourceVersion: string
  readonly term: number
  readonly entries: ReadonlyMap<string, BlockEntry>
  readonly released: ReadonlyMap<string, number>
  /** Addresses whose entry cannot be read: somebody owns them, so they are never given out. */
  readonly unreadable: ReadonlySet<string>
  readonly problems: readonly string[]
}

type Fields = Readonly<Record<string, unknown>>

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
  const entries = new Map<string, BlockEntry>()
  const unreadable = new Set<string>()
  const problems: string[] = []
  for (const [key, value] of Object.entries(fieldsOf(spec['entries']) ?? {})) {
    const ip = addressIn(block, key)
    if (ip === undefined) problems.push(`spec.entries[${key}] is no address of ${formatCidr(block.cidr)}`)
    if (ip === undefined) continue
    const entry = key === ip ? readEntry(value) : undefined
    if (entry !== undefined) entries.set(ip, entry)
    else {
      unreadable.add(ip)
      problems.push(`spec.entries[${key}] cannot be read: the address stays taken`)
    }
  }
  const released = new Map<string, number>()
  for (const [key, time] of Object.entries(fieldsOf(spec['released']) ?? {})) {
    const ip = addressIn(block, key)
    if (ip !== undefined && isCount(time)) released.set(ip, time)
    else problems.push(`spec.released[${key}] cannot be read`)
  }
  return { block, resourceVersion, term, entries, released, unreadable, problems }
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

function fieldsOf(value: unknown): Fields | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : undefined
}
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0
const isText = (value: unknown): value is string => typeof value === 'string'
const isTexts = (value: unknown): value is readonly string[] => Array.isArray(value) && value.every(isText)

function isCanonicalIp(text: string): boolean {
  const ip = tryParseIp(text)
  return ip !== undefined && formatIp(ip) === text
}

function readEntry(value: unknown): BlockEntry | undefined {
  const owner = readHolder(value)
  const claims = fieldsOf(value)?.['claims']
  if (owner === undefined || claims === undefined) return owner
  if (!Array.isArray(claims)) return undefined
  const holders = claims.map(readHolder)
  return holders.every((one) => one !== undefined) ? { ...owner, claims: holders } : undefined
}

function readHolder(value: unknown): BlockEntry | undefined {
  const fields = fieldsOf(value)
  const owner = readOwner(fields?.['owner'])
  const grant = readGrant(fields?.['grant'])
  if (fields === undefined || owner === undefined || grant === undefined) return undefined
  const { pool, nic, pod, podUid, node, since } = fields
  if (!isText(pool) || !isText(nic) || !isText(pod) || !isText(podUid) || !isText(node)) return undefined
  if (!isCount(since)) return undefined
  const intent = readIntent(fields['intent'])
  const attachments = readAttachments(fields['attachments'])
  const createdBy = readCreator(fields['createdBy'])
  const { adopted } = fields
  if (intent === null || attachments === null || createdBy === null) return undefined
  if (adopted !== undefined && adopted !== 'record' && adopted !== 'endpoint') return undefined
  return {
    pool: shared(pool),
    nic: shared(nic),
    owner: owner.kind === 'pod' && owner.uid === podUid ? { kind: 'pod', uid: podUid } : owner,
    pod,
    podUid,
    node: shared(node),
    ...(intent === undefined ? {} : { intent }),
    ...(attachments === undefined ? {} : { attachments }),
    since,
    ...(createdBy === undefined ? {} : { createdBy }),
    grant,
    ...(adopted === undefined ? {} : { adopted }),
  }
}

function readOwner(value: unknown): BlockOwner | undefined {
  const { kind, uid, group, ownerKind, name, replica } = fieldsOf(value) ?? {}
  if (!isText(uid)) return undefined
  if (kind === 'pod') return { kind, uid }
  if (kind !== 'sticky' || !isText(group) || !isText(ownerKind) || !isText(name) || !isText(replica)) {
    return undefined
  }
  return { kind, group, ownerKind, name, uid, replica }
}

// null stands for a field that is there and cannot be read.
function readIntent(value: unknown): BlockEntry['intent'] | null {
  if (value === undefined) return undefined
  const { id, ips } = fieldsOf(value) ?? {}
  return isText(id) && isTexts(ips) && ips.every(isCanonicalIp) ? { id, ips } : null
}

function readAttachments(value: unknown): readonly Attachment[] | undefined | null {
  if (value === undefined) return undefined
  if (!Array.isArray(value)) return null
  // Made in one piece: an array that grows keeps room for 16 more, and there are 100,000 of them.
  const found = value.map(readAttachment)
  return found.every((attachment) => attachment !== undefined) ? found : null
}

function readAttachment(item: unknown): Attachment | undefined {
  const { containerId, node, active, podName, podUid } = fieldsOf(item) ?? {}
  if (!isText(containerId) || !isText(node)) return undefined
  return {
    containerId,
    node: shared(node),
    active: active !== false,
    ...(isText(podName) ? { podName } : {}),
    ...(isText(podUid) ? { podUid } : {}),
  }
}

function readCreator(value: unknown): BlockEntry['createdBy'] | null {
  if (value === undefined) return undefined
  const { containerId, ifName } = fieldsOf(value) ?? {}
  return isText(containerId) && isText(ifName) ? { containerId, ifName: shared(ifName) } : null
}

function readGrant(value: unknown): EntryGrant | undefined {
  const { prefixBits, gateway, routes, cleanGateway, vlan, mac, dns, metadata, isStatic } =
    fieldsOf(value) ?? {}
  if (!isCount(prefixBits) || prefixBits > 128) return undefined
  const readRoutes = routes === undefined ? undefined : readRouteList(routes)
  if (readRoutes === null) return undefined
  return {
    prefixBits,
    ...(isText(gateway) && gateway !== '' ? { gateway: shared(gateway) } : {}),
    ...(readRoutes === undefined ? {} : { routes: readRoutes }),
    ...(cleanGateway === true ? { cleanGateway } : {}),
    ...(isCount(vlan) ? { vlan } : {}),
    ...(isText(mac) ? { mac } : {}),
    ...(isDns(dns) ? { dns: sharedData(dns) } : {}),
    ...(isMetadata(metadata) ? { metadata: sharedData(metadata) } : {}),
    ...(isStatic === true ? { isStatic } : {}),
  }
}

function isDns(value: unknown): value is DnsSettings {
  const dns = fieldsOf(value)
  if (dns === undefined) return false
  const { domain = '', nameservers = [], search = [], options = [] } = dns
  return isText(domain) && isTexts(nameservers) && isTexts(search) && isTexts(options)
}

function isMetadata(value: unknown): value is Readonly<Record<string, string>> {
  const fields = fieldsOf(value)
  return fields !== undefined && Object.values(fields).every(isText)
}

function readRouteList(value: unknown): readonly Route[] | null {
  if (!Array.isArray(value)) return null
  const found: Route[] = []
  for (const item of value) {
    const { dst, gw } = fieldsOf(item) ?? {}
    if (!isText(dst) || !isText(gw)) return null
    found.push({ dst: shared(dst), gw: shared(gw) })
  }
  return found
}
