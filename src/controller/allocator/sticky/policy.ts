import type { SpiderIpPool } from '../../../api/index.ts'
import { OperationError } from '../../../base/index.ts'
import {
  type Candidates,
  formatVerdict,
  mayKeep,
  type OwnedAddress,
  type Selection,
} from '../../../ledger/index.ts'

/** A sticky owner's address is not legal where its pod is now, and its pool says to wait until it is (`stickyPolicy: wait`). */
export class StickyWaitError extends OperationError {
  override readonly code = 'STICKY_WAIT'
  override readonly retry = 'after-change'
}

/** A sticky owner's address is not legal where its pod is now, and its pool says to give no other (`stickyPolicy: fail`). */
export class StickyFailError extends OperationError {
  override readonly code = 'STICKY_FAIL'
  override readonly retry = 'after-change'
}

/** Why the pool may not give the pod its address any more; undefined: it may, or nobody named the pool. */
export function refusalOf(candidates: Candidates, pool: string): string | undefined {
  const verdict = candidates.verdicts.find((one) => one.pool === pool)
  return verdict === undefined || mayKeep(candidates, pool) ? undefined : formatVerdict(verdict)
}

/**
 * Does what the pool says of an address that it may no longer give: nothing to replace it, or throws.
 * @param isShared another pod of the virtual machine uses the address: it cannot be replaced under that one
 * @throws {StickyWaitError}
 * @throws {StickyFailError}
 */
export function applyStickyPolicy(
  { ip, entry }: OwnedAddress,
  pool: SpiderIpPool,
  refusal: string,
  isShared: boolean,
): void {
  const policy = pool.spec.stickyPolicy ?? 'replace'
  if (policy === 'replace' && !isShared) return
  const { name } = pool.metadata
  const message = `Cannot give ${entry.pod} its address ${ip} of ${entry.nic}: it is not legal here: ${refusal}`
  if (policy === 'fail') {
    const hint = `Move the pod to where SpiderIPPool "${name}" may be used, or set its spec.stickyPolicy to replace`
    throw new StickyFailError(message, hint)
  }
  const hint = isShared
    ? `Migrate the machine to a node that SpiderIPPool "${name}" may be used on: its address cannot change while it runs`
    : `Make SpiderIPPool "${name}" legal for the pod, move the pod, or set spec.stickyPolicy of the pool to replace`
  throw new StickyWaitError(message, hint)
}

/** @throws {StickyWaitError} as another pod of the virtual machine uses the address that this one would give up */
export function refuseSharedDrop({ ip, entry }: OwnedAddress): never {
  throw new StickyWaitError(
    `Cannot give ${entry.pod} another address than ${ip} for ${entry.nic}: the machine runs, and uses it`,
    'Let the pod ask for the addresses that the machine has, or restart the machine instead of migrating it',
  )
}

/** What the pod of a sticky owner is told of an address that it had, and that was given up; nothing of other owners. */
export function replacementText(
  { ip, entry }: OwnedAddress,
  selection: Selection | undefined,
): readonly string[] {
  if (entry.owner.kind !== 'sticky') return []
  const version = ip.includes(':') ? 6 : 4
  const own = selection?.candidates.find((one) => one.nic === entry.nic && one.version === version)
  const refusal = own === undefined ? undefined : refusalOf(own, entry.pool)
  const why =
    refusal ?? `SpiderIPPool "${entry.pool}" is not named for it any more, or has the address no more`
  return [`address ${ip} of ${entry.nic} is freed, and replaced where another is wanted: ${why}`]
}
