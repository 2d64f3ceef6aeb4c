import { resources, type SpiderIpBlock } from '../../api/index.ts'
import { OperationError } from '../../base/index.ts'
import type { KubeApi } from '../../kube/index.ts'
import { type BlockChange, MemoryBlockStore, parseBlock } from '../../ledger/index.ts'

const page = 100

/** A copy of the blocks of the API server, which takes back what was written to it. */
export class BlocksCopy extends MemoryBlockStore {
  readonly #originals = new Map<string, SpiderIpBlock>()
  readonly #written = new Set<string>()

  static async read(api: Pick<KubeApi, 'listAll'>, signal: AbortSignal): Promise<BlocksCopy> {
    const found = new Map<string, SpiderIpBlock>()
    const keep = (block: SpiderIpBlock): SpiderIpBlock => {
      const { name } = block.metadata
      // The list began again, as a version expired: what was copied is of another one.
      if (found.has(name)) found.clear()
      found.set(name, block)
      return { metadata: { name }, spec: { cidr: '', term: 0 } }
    }
    await api.listAll<SpiderIpBlock>(resources.ipBlock, { limit: page, keep }, signal)
    const copy = new BlocksCopy()
    for (const [name, block] of found) {
      if (!isBlock(block)) continue
      copy.#originals.set(name, block)
      await copy.create(block, signal)
    }
    return copy
  }

  override patch(
    name: string,
    resourceVersion: string,
    change: BlockChange,
    signal: AbortSignal,
  ): Promise<string> {
    this.#written.add(name)
    return super.patch(name, resourceVersion, change, signal)
  }

  /** Makes the blocks that were copied what they were. @returns their new versions by name, of those that were written */
  async rewind(signal: AbortSignal): Promise<ReadonlyMap<string, string>> {
    const versions = new Map<string, string>()
    for (const name of this.#written) {
      const original = this.#originals.get(name)
      if (original === undefined) continue
      this.remove(name)
      versions.set(name, await this.create(original, signal))
    }
    this.#written.clear()
    return versions
  }
}

function isBlock(block: SpiderIpBlock): boolean {
  try {
    parseBlock(block)
    return true
  } catch (error) {
    if (error instanceof OperationError) return false
    throw error
  }
}
