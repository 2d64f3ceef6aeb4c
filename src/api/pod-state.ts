import type { Pod } from './core.ts'

/**
 * True while the pod may use its addresses (spec/ipam.md §3, alive table). A pod that was not found is not alive:
 * that is the caller's to know.
 */
export function isAlive(pod: Pod): boolean {
  if (pod.metadata.deletionTimestamp !== undefined) return false
  const phase = pod.status?.phase
  const restartPolicy = pod.spec?.restartPolicy ?? 'Always'
  if (phase === 'Succeeded' && restartPolicy !== 'Always') return false
  if (phase === 'Failed' && (restartPolicy === 'Never' || pod.status?.reason === 'Evicted')) return false
  return true
}
