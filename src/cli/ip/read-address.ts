import { blockOf, formatIp, type IpAddress, parseIp } from '../../address/index.ts'
import {
  type BlockEntry,
  type Pod,
  resources,
  type SpiderIpBlock,
  type SpiderIpPool,
  type SpiderReservedIp,
} from '../../api/index.ts'
import { InvalidInputError } from '../../base/index.ts'
import type { KubeApi } from '../../kube/index.ts'
import { blockSizes, type ParsedBlock, parseBlock } from '../../ledger/index.ts'
import type { AddressFacts } from './address-view.ts'

const page = 100

/** The block of an address, as stored; undefined: nothing was ever recorded in it. */
export function readBlockOf(
  address: IpAddress,
  api: Pick<KubeApi, 'get'>,
  signal: AbortSignal,
): Promise<SpiderIpBlock | undefined> {
  return api.get<SpiderIpBlock>(resources.ipBlock, { name: blockOf(address, blockSizes).name }, signal)
}

/** Reads all that is known of an address. The pod is read last: it is not older than the block. */
export async function readAddress(
  address: IpAddress,
  api: Pick<KubeApi, 'get' | 'listAll'>,
  signal: AbortSignal,
): Promise<AddressFacts & { readonly block: SpiderIpBlock | undefined }> {
  const [block, pools, reservations] = await Promise.all([
    readBlockOf(address, api, signal),
    listPools(api, signal),
    listReservations(api, signal),
  ])
  const recorded = recordOf(address, block)
  const pod = recorded.entry === undefined ? undefined : await readPodOf(recorded.entry, api, signal)
  return { ...recorded, block, pools, reservations, pod }
}

/** What the block says of one address. @throws {InvalidInputError} when the object is no block */
export function recordOf(
  address: IpAddress,
  block: SpiderIpBlock | undefined,
): Pick<AddressFacts, 'address' | 'ip' | 'entry' | 'isUnreadable' | 'releasedMs' | 'quarantine' | 'history'> {
  const ip = formatIp(address)
  const read = block === undefined ? undefined : parseBlock(block)
  return {
    address,
    ip,
    entry: read?.entries.get(ip),
    isUnreadable: read?.unreadable.has(ip) === true,
    releasedMs: read?.released.get(ip),
    quarantine: read?.quarantine.get(ip),
    history: (read?.history ?? []).filter((past) => past.ip === ip),
  }
}

/** A block as checked; undefined for an object that is none. */
export function readable(block: SpiderIpBlock): ParsedBlock | undefined {
  try {
    return parseBlock(block)
  } catch (error) {
    if (error instanceof InvalidInputError) return undefined
    throw error
  }
}

/** The pod that the entry names, afresh; undefined also when it names none. */
export async function readPodOf(
  { pod }: BlockEntry,
  api: Pick<KubeApi, 'get'>,
  signal: AbortSignal,
): Promise<Pod | undefined> {
  if (pod === '') return undefined
  const [namespace = '', name = ''] = pod.split('/')
  return api.get<Pod>(resources.pod, { namespace, name }, signal)
}

/** All pools, without the lists of their addresses: those are large, and a view. */
export async function listPools(
  api: Pick<KubeApi, 'listAll'>,
  signal: AbortSignal,
): Promise<readonly SpiderIpPool[]> {
  const keep = ({ metadata, spec, status }: SpiderIpPool): SpiderIpPool => {
    const { conditions } = status ?? {}
    return { metadata, spec, ...(conditions === undefined ? {} : { status: { conditions } }) }
  }
  return (await api.listAll<SpiderIpPool>(resources.ipPool, { limit: page, keep }, signal)).items
}

export async function listReservations(
  api: Pick<KubeApi, 'listAll'>,
  signal: AbortSignal,
): Promise<readonly SpiderReservedIp[]> {
  return (await api.listAll<SpiderReservedIp>(resources.reservedIp, { limit: page }, signal)).items
}

/** The address that a person wrote. @throws {InvalidInputError} */
export function parseAddress(text: string): IpAddress {
  return parseIp(text, { field: 'IP' })
}
