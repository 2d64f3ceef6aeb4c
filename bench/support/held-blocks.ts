// Blocks that say that pods have addresses, made without a controller: a ledger that is full already.
import { blockOf, formatIpValue, type IpAddress } from '../../src/address/index.ts'
import { type BlockEntry, resources, type SpiderIpBlock } from '../../src/api/index.ts'
import type { KubeApi } from '../../src/kube/index.ts'
import { blockSizes, formatBlock, formatEntry } from '../../src/ledger/index.ts'
import { inParallel } from '../../test/support/ipam-burst.ts'
import { containerIdOf } from './plugin-call.ts'

const never = new AbortController().signal
const blocksAtOnce = 16

/** Collects entries, and writes their blocks. No controller may run meanwhile: it is the only one that writes blocks. */
export class HeldBlocks {
  readonly #entries = new Map<string, { readonly ip: IpAddress; readonly texts: Record<string, string> }>()

  hold(ip: IpAddress, entry: BlockEntry): void {
    const { name } = blockOf(ip, blockSizes)
    const known = this.#entries.get(name) ?? { ip, texts: {} }
    known.texts[formatIpValue(ip.value)] = formatEntry(entry)
    this.#entries.set(name, known)
  }

  /** The last block of an earlier call may have room. */
  async write(api: KubeApi): Promise<void> {
    await inParallel([...this.#entries.values()], blocksAtOnce, async ({ ip, texts }) => {
      const block = formatBlock(blockOf(ip, blockSizes), { term: 1, entries: texts })
      const ref = { name: block.metadata.name }
      const found = await api.get<SpiderIpBlock>(resources.ipBlock, ref, never)
      if (found === undefined) await api.create(resources.ipBlock, block, never)
      else
        await api.patch(resources.ipBlock, ref, { type: 'merge', body: { spec: { entries: texts } } }, never)
    })
  }
}

/** The entry of a pod of namespace default, with its one container attached. */
export function heldEntry(
  { name, uid, node }: { readonly name: string; readonly uid: string; readonly node: string },
  pool: string,
  grant: BlockEntry['grant'],
): BlockEntry {
  const containerId = containerIdOf(uid)
  return {
    pool,
    nic: 'eth0',
    owner: { kind: 'pod', uid },
    pod: `default/${name}`,
    podUid: uid,
    node,
    attachments: [{ containerId, node, active: true }],
    createdBy: { containerId, ifName: 'eth0' },
    since: Date.now(),
    grant,
  }
}
