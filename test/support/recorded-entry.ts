import { type BlockEntry, resources, type SpiderIpBlock } from '../../src/api/index.ts'
import type { KubeApi } from '../../src/kube/index.ts'
import { readEntry } from '../../src/ledger/index.ts'

const never = new AbortController().signal

/** What the blocks say of an address. */
export async function recordedEntry(api: KubeApi, ip: string): Promise<BlockEntry | undefined> {
  const { items } = await api.listAll<SpiderIpBlock>(resources.ipBlock, {}, never)
  return items.map(({ spec }) => readEntry(spec.entries?.[ip])).find((entry) => entry !== undefined)
}
