import { isDeepStrictEqual } from 'node:util'
import type { SpiderIpPool } from '../../api/index.ts'

/**
 * Whether nothing differs between two versions of a pool but its status, which we write ourselves after each allocation, and
 * finalizers: whoever waits for an address need not look again. Without a generation nobody knows.
 */
export function offersTheSame(old: SpiderIpPool | undefined, now: SpiderIpPool | undefined): boolean {
  if (old?.metadata.generation === undefined || now === undefined) return false
  return isDeepStrictEqual(configOf(old), configOf(now))
}

function configOf({ metadata }: SpiderIpPool) {
  const { uid, generation, deletionTimestamp, labels = {}, annotations = {} } = metadata
  return { uid, generation, deletionTimestamp, labels, annotations }
}
