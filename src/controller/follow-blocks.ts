import { type KubeObject, resources } from '../api/index.ts'
import { Backoff, type Clock, deadlineAfter, type Logger, type Random, toError } from '../base/index.ts'
import type { KubeApi } from '../kube/index.ts'
import type { Ledger } from '../ledger/index.ts'
import type { KubeBlockStore } from './allocator/store/kube-block-store.ts'

/** What following the blocks takes. */
export interface FollowPorts {
  readonly api: Pick<KubeApi, 'watch'>
  readonly ledger: Pick<Ledger, 'noteVersion' | 'resync'>
  readonly store: Pick<KubeBlockStore, 'listedVersion' | 'hasSeen'>
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

const watchSeconds = 300
/** A server that says nothing past the end that we asked for is not there any more. */
const silenceMs = 330_000
/** A server that ends watches sooner is not asked without a pause. */
const shortMs = 5_000
// A list of all blocks follows each failure: it must not be made often.
const retryMs = { firstMs: 1_000, capMs: 60_000 }

/**
 * Hears of blocks that somebody else changed: an operator who frees an address edits its block with the version that they
 * read. The sequencer would learn of that at its next write of the block; a full pool has no next write. What is heard is
 * only a hint: the block is read in line with its writes.
 */
export async function followBlocks(ports: FollowPorts, signal: AbortSignal): Promise<void> {
  const { clock, random, logger, ledger, store } = ports
  const backoff = new Backoff(retryMs, random)
  let version = store.listedVersion ?? ''
  while (!signal.aborted) {
    const startedMs = clock.monotonicMs()
    try {
      version = await followOnce(version, ports, signal)
      if (clock.monotonicMs() - startedMs > shortMs) backoff.reset()
      else await clock.sleep(backoff.nextMs(), signal)
    } catch (error) {
      if (signal.aborted) return
      logger.debug('blocks are not watched', { err: toError(error) })
      try {
        await clock.sleep(backoff.nextMs(), signal)
        await ledger.resync(signal)
        version = store.listedVersion ?? version
      } catch (second) {
        if (!signal.aborted) logger.warn('blocks are not listed', { err: toError(second) })
      }
    }
  }
}

/** One watch, to its end. @returns the version that it came to */
async function followOnce(
  from: string,
  { api, ledger, store, logger }: FollowPorts,
  signal: AbortSignal,
): Promise<string> {
  using deadline = deadlineAfter(silenceMs, signal)
  const options = { resourceVersion: from, timeoutSeconds: watchSeconds, metadataOnly: true }
  let version = from
  for await (const { type, object } of api.watch<KubeObject>(resources.ipBlock, options, deadline.signal)) {
    const { name, resourceVersion = '' } = object.metadata
    version = resourceVersion
    // A block that was deleted is no news to act on: that its addresses are free is for the next write or resync to find.
    if (type === 'BOOKMARK' || type === 'DELETED' || store.hasSeen(resourceVersion)) continue
    ledger.noteVersion(name, resourceVersion, signal).catch((error: unknown) => {
      if (!signal.aborted) logger.warn('block not read', { block: name, err: toError(error) })
    })
  }
  return version
}
