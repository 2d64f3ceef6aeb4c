import type { ApiObject } from '../object.ts'

/** One column of a Table of meta.k8s.io, and how its cells come from an object. */
export interface Column {
  readonly name: string
  readonly type: 'string' | 'integer' | 'number' | 'boolean' | 'date'
  /** `name` marks the column that names the object. */
  readonly format?: string
  readonly description?: string
  /** 0 is always shown, more only with `-o wide`. */
  readonly priority?: number
  cell(object: ApiObject, nowMs: number): unknown
}

export const nameColumn: Column = {
  name: 'Name',
  type: 'string',
  format: 'name',
  cell: ({ metadata }) => metadata.name ?? '',
}

export const ageColumn: Column = {
  name: 'Age',
  type: 'string',
  cell: ({ metadata }, nowMs) => age(metadata.creationTimestamp, nowMs),
}

/** A text column; its cells are what `cell` gives. */
export function textColumn(name: string, cell: Column['cell'], priority = 0): Column {
  return { name, type: 'string', priority, cell }
}

/** Time since a timestamp, as kubectl shows ages; `<unknown>` without one. */
export function age(timestamp: unknown, nowMs: number): string {
  const then = typeof timestamp === 'string' ? Date.parse(timestamp) : Number.NaN
  return Number.isNaN(then) ? '<unknown>' : humanDuration(nowMs - then)
}

const second = 1000
const minute = 60 * second
const hour = 60 * minute
const day = 24 * hour
const year = 365 * day

// One unit when it says enough, two while the first is small.
const scales = [
  { below: 2 * minute, units: [second] },
  { below: 10 * minute, units: [minute, second] },
  { below: 3 * hour, units: [minute] },
  { below: 8 * hour, units: [hour, minute] },
  { below: 2 * day, units: [hour] },
  { below: 8 * day, units: [day, hour] },
  { below: 2 * year, units: [day] },
  { below: 8 * year, units: [year, day] },
] as const

const letters = new Map([
  [second, 's'],
  [minute, 'm'],
  [hour, 'h'],
  [day, 'd'],
  [year, 'y'],
])

/** `45s`, `3m20s`, `5h`, `2d4h`: a duration as kubectl writes it. */
export function humanDuration(ms: number): string {
  if (ms < -2 * second) return '<invalid>'
  let left = Math.max(0, ms)
  const { units } = scales.find(({ below }) => left < below) ?? { units: [year] }
  let text = ''
  for (const unit of units) {
    const count = Math.floor(left / unit)
    left -= count * unit
    if (count > 0 || text === '') text += `${count}${letters.get(unit) ?? ''}`
  }
  return text
}
