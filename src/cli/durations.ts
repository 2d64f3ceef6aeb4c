import { InvalidInputError } from '../base/index.ts'

const units = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

/** Milliseconds of `90s`, `10m`, `1h` or `7d`. @throws {InvalidInputError} for other text, and outside of 1 s to `mostMs` */
export function parseDuration(field: string, text: string, mostMs: number): number {
  const [, digits = '', unit = ''] = /^(\d{1,9})([smhd])$/.exec(text) ?? []
  const hint = `write a number and s, m, h or d, such as 30m, up to ${formatDuration(mostMs)}`
  if (digits === '') throw new InvalidInputError(field, text, 'is no duration', hint)
  const ms = Number(digits) * units[unit as keyof typeof units]
  if (ms < 1_000 || ms > mostMs) throw new InvalidInputError(field, text, 'is out of range', hint)
  return ms
}

/** `3d4h`, `5m10s`, `0s`: the two largest units, never less than it is by more than a second. */
export function formatDuration(ms: number): string {
  let left = Math.max(0, Math.floor(ms / 1_000))
  const parts: string[] = []
  for (const [unit, size] of [
    ['d', 86_400],
    ['h', 3_600],
    ['m', 60],
    ['s', 1],
  ] as const) {
    const count = Math.floor(left / size)
    left -= count * size
    if (count > 0) parts.push(`${count}${unit}`)
    if (parts.length === 2) break
  }
  return parts.length === 0 ? '0s' : parts.join('')
}

/** A time of the ledger as text, in UTC. */
export function formatTime(ms: number): string {
  // What an edited block holds may be no time at all.
  return Math.abs(ms) > 8.64e15 ? `${ms} ms` : new Date(ms).toISOString()
}
