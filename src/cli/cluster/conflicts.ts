import { type BlockEntry, resources, type SpiderIpBlock, type SpiderIpPool } from '../../api/index.ts'
import { InvalidInputError } from '../../base/index.ts'
import type { KubeApi } from '../../kube/index.ts'
import { claimsOf, isContested, parseBlock } from '../../ledger/index.ts'
import { type HolderView, viewHolder } from '../ip/address-view.ts'
import { formatTable } from '../table.ts'

// A block with all its entries is some 25 KiB, and a pool may list its records in a megabyte.
const blockPage = 50
const poolPage = 20

/** What an operator has to decide on. */
export interface Conflicts {
  /** Addresses that are recorded for several pods, in the order of the blocks. */
  readonly contested: readonly { readonly ip: string; readonly holders: readonly BlockEntry[] }[]
  /** Entries of blocks that cannot be read: their addresses are kept from everybody. */
  readonly damaged: readonly string[]
  /** Pools that hand out nothing new, as what others wrote cannot be read. */
  readonly pools: readonly { readonly name: string; readonly message: string }[]
}

/** Reads all blocks and pools. */
export async function readConflicts(api: Pick<KubeApi, 'listAll'>, signal: AbortSignal): Promise<Conflicts> {
  const blocks = new Map<string, Pick<Conflicts, 'contested' | 'damaged'>>()
  const keepBlock = (block: SpiderIpBlock): SpiderIpBlock => {
    const { name } = block.metadata
    blocks.set(name, conflictsOf(block))
    return { metadata: { name }, spec: { cidr: '', term: 0 } }
  }
  await api.listAll<SpiderIpBlock>(resources.ipBlock, { keep: keepBlock, limit: blockPage }, signal)
  const pools = new Map<string, string>()
  const keepPool = ({ metadata: { name }, status }: SpiderIpPool): SpiderIpPool => {
    const condition = status?.conditions?.find(({ type }) => type === 'AllocatedIPsReadable')
    pools.delete(name)
    if (condition?.status === 'False') pools.set(name, condition.message)
    return { metadata: { name }, spec: { subnet: '' } }
  }
  await api.listAll<SpiderIpPool>(resources.ipPool, { keep: keepPool, limit: poolPage }, signal)
  return {
    contested: [...blocks.values()].flatMap(({ contested }) => contested),
    damaged: [...blocks.values()].flatMap(({ damaged }) => damaged),
    pools: [...pools].map(([name, message]) => ({ name, message })),
  }
}

function conflictsOf(block: SpiderIpBlock): Pick<Conflicts, 'contested' | 'damaged'> {
  const { name } = block.metadata
  try {
    const { entries, problems } = parseBlock(block)
    const contested = [...entries].flatMap(([ip, entry]) =>
      isContested(entry) ? [{ ip, holders: [entry, ...claimsOf(entry)] }] : [],
    )
    return { contested, damaged: problems.map((problem) => `SpiderIPBlock ${name}: ${problem}`) }
  } catch (error) {
    if (!(error instanceof InvalidInputError)) throw error
    return { contested: [], damaged: [`SpiderIPBlock ${name}: ${error.message}`] }
  }
}

/** The JSON shape of them, see docs/spiderpoolctl.md; the pods are not looked at. The first holder is the owner. */
export function viewConflicts({ contested, damaged, pools }: Conflicts): {
  readonly contested: readonly { readonly ip: string; readonly holders: readonly HolderView[] }[]
  readonly damaged: Conflicts['damaged']
  readonly pools: Conflicts['pools']
} {
  const viewed = contested.map(({ ip, holders }) => {
    return { ip, holders: holders.map((holder) => viewHolder(holder, 'unknown')) }
  })
  return { contested: viewed, damaged, pools }
}

/** What a person sees of them, line by line. */
export function conflictLines({ contested, damaged, pools }: Conflicts): readonly string[] {
  const rows = contested.flatMap(({ ip, holders }) =>
    holders.map(({ pool, pod, podUid, node, nic, adopted = 'allocated' }, at) => {
      return [ip, at === 0 ? 'owner' : 'claims it', pod, podUid, node, nic, pool, adopted]
    }),
  )
  const header = ['ADDRESS', 'ROLE', 'POD', 'UID', 'NODE', 'NIC', 'POOL', 'FOUND IN']
  const advice =
    'Each is given to nobody new until one pod is left: delete the pod that should not have it, ' +
    'or restart its sandbox, and it gets another address.'
  const parts = [
    rows.length === 0 ? [] : [...formatTable(header, rows), advice],
    pools.map(({ name, message }) => `SpiderIPPool ${name}: ${message}`),
    damaged,
  ].filter((part) => part.length > 0)
  if (parts.length === 0) return ['No address is contested, and all records can be read.']
  return parts.flatMap((part, at) => (at === 0 ? part : ['', ...part]))
}
