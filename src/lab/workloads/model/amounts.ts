import type { IntOrPercent } from './kinds.ts'

/** A number, or a percentage of `total`; what cannot be read counts as 0. */
export function resolveAmount(amount: IntOrPercent | undefined, total: number, round: 'up' | 'down'): number {
  if (typeof amount === 'number') return Math.max(0, Math.floor(amount))
  const percent = /^(\d{1,5})%$/.exec(amount ?? '')?.[1]
  if (percent === undefined) return /^\d{1,9}$/.test(amount ?? '') ? Number(amount) : 0
  const exact = (Number(percent) * total) / 100
  return round === 'up' ? Math.ceil(exact) : Math.floor(exact)
}

/** RFC 3339 in whole seconds, as Kubernetes writes times. */
export function timeText(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z')
}
