import { formatIp, tryParseIp } from '../../address/index.ts'
import type {
  Attachment,
  BlockEntry,
  BlockOwner,
  DnsSettings,
  EntryGrant,
  PastHolder,
  Quarantine,
  Route,
} from '../../api/index.ts'
import { sharedText as shared, sharedData } from '../shared-data.ts'
import { storedFields, textFields } from './entry-text.ts'
import { type Fields, fieldsOf } from './fields.ts'

/** A whole number from 0. */
export const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0
const isText = (value: unknown): value is string => typeof value === 'string'
const isTexts = (value: unknown): value is readonly string[] => Array.isArray(value) && value.every(isText)

function isCanonicalIp(text: string): boolean {
  const ip = tryParseIp(text)
  return ip !== undefined && formatIp(ip) === text
}

/**
 * Who owns an address.
 * @param value as stored, or an object with all members
 * @returns undefined when it cannot be read, so that the address stays taken
 */
export function readEntry(value: unknown): BlockEntry | undefined {
  try {
    return readWhole(value)
  } catch (error) {
    if (error instanceof RangeError) return undefined // nested so deep that it could not be written again
    throw error
  }
}

function readWhole(value: unknown): BlockEntry | undefined {
  const fields = storedFields(value)
  const owner = readHolder(fields)
  const claims = fields?.['claims']
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
  const { pool, nic, pod, podUid, node, since, adopted } = fields
  if (!isText(pool) || !isText(nic) || !isText(pod) || !isText(podUid) || !isText(node)) return undefined
  if (!isCount(since)) return undefined
  const intent = readIntent(fields['intent'])
  const attachments = readAttachments(fields['attachments'])
  const createdBy = readCreator(fields['createdBy'])
  if (intent === null || attachments === null || createdBy === null) return undefined
  if (adopted !== undefined && adopted !== 'record' && adopted !== 'endpoint') return undefined
  return {
    pool: shared(pool),
    nic: shared(nic),
    owner: owner.kind === 'pod' && owner.uid === podUid ? { ...owner, uid: podUid } : owner,
    pod,
    podUid,
    node: shared(node),
    ...(intent === undefined ? {} : { intent }),
    ...(attachments === undefined ? {} : { attachments }),
    since,
    ...(createdBy === undefined ? {} : { createdBy }),
    grant,
    ...(adopted === undefined ? {} : { adopted }),
    ...unknownOf(fields),
  }
}

const known = new Set([
  ...[
    'pool',
    'nic',
    'owner',
    'pod',
    'podUid',
    'node',
    'intent',
    'attachments',
    'since',
    'createdBy',
    'grant',
  ],
  ...['adopted', 'claims'],
])

/** What a newer controller says beside it: an entry is written as a whole. */
function unknownOf(fields: Fields): Pick<BlockEntry, 'unknown'> {
  const more = Object.entries(fields).filter(([name]) => !known.has(name))
  return more.length === 0 ? {} : { unknown: sharedData(Object.fromEntries(more)) }
}

function readOwner(value: unknown): BlockOwner | undefined {
  const { kind, uid, group, ownerKind, name, replica, ...more } = fieldsOf(value) ?? {}
  if (!isText(uid)) return undefined
  if (kind === 'pod') return { kind, uid, ...more }
  if (kind !== 'sticky' || !isText(group) || !isText(ownerKind) || !isText(name) || !isText(replica)) {
    return undefined
  }
  return { kind, group, ownerKind, name, uid, replica, ...more }
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
  const { containerId, node, active, podName, podUid, ...more } = fieldsOf(item) ?? {}
  if (!isText(containerId) || !isText(node)) return undefined
  return {
    containerId,
    node: shared(node),
    active: active !== false,
    ...(isText(podName) ? { podName } : {}),
    ...(isText(podUid) ? { podUid } : {}),
    ...more,
  }
}

function readCreator(value: unknown): BlockEntry['createdBy'] | null {
  if (value === undefined) return undefined
  const { containerId, ifName } = fieldsOf(value) ?? {}
  return isText(containerId) && isText(ifName) ? { containerId, ifName: shared(ifName) } : null
}

function readGrant(value: unknown): EntryGrant | undefined {
  const { prefixBits, gateway, routes, cleanGateway, vlan, mac, dns, metadata, isStatic, isDual, ...more } =
    fieldsOf(value) ?? {}
  if (!isCount(prefixBits) || prefixBits > 128) return undefined
  const readRoutes = routes === undefined ? undefined : readRouteList(routes)
  if (readRoutes === null) return undefined
  const grant: EntryGrant = {
    prefixBits,
    ...(isText(gateway) && gateway !== '' ? { gateway: shared(gateway) } : {}),
    ...(readRoutes === undefined ? {} : { routes: readRoutes }),
    ...(cleanGateway === true ? { cleanGateway } : {}),
    ...(isCount(vlan) ? { vlan } : {}),
    ...(isText(mac) ? { mac } : {}),
    ...(isDns(dns) ? { dns: sharedData(dns) } : {}),
    ...(isMetadata(metadata) ? { metadata: sharedData(metadata) } : {}),
    ...(isStatic === true ? { isStatic } : {}),
    ...(isDual === true ? { isDual } : {}),
    ...more,
  }
  // Without a MAC address of its own, it is that of all entries of the pool.
  return isText(mac) ? grant : sharedData(grant)
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
  return sharedData(found)
}

/** Why an address is kept from everybody; undefined when it cannot be read. */
export function readQuarantine(value: unknown): Quarantine | undefined {
  const { since, until, mac, pod, nic, node } = fieldsOf(value) ?? {}
  if (!isCount(since) || !isCount(until) || !isText(pod) || !isText(nic) || !isText(node)) return undefined
  return { since, until, ...(isText(mac) ? { mac } : {}), pod, nic, node }
}

/** Who had an address before; undefined when it cannot be read. */
export function readPastHolder(value: unknown): PastHolder | undefined {
  const { ip, pod, podUid, nic, node, since, until, ...more } = textFields(value) ?? {}
  if (!isText(ip) || !isText(pod) || !isText(podUid) || !isText(nic) || !isText(node)) return undefined
  if (!isCount(since) || !isCount(until)) return undefined
  // With what a newer controller says beside it: the list is written as a whole.
  return { ip, pod, podUid, nic: shared(nic), node: shared(node), since, until, ...more }
}
