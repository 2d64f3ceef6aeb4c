import type { Environment } from '@marcbachmann/cel-js'
import { CelRuntimeError } from './runtime-error.ts'
import { sync } from './sync.ts'

type Orderable = string | number | bigint | boolean

/** Registers the list, set and regular-expression libraries of Kubernetes. */
export function registerListLibrary(env: Environment): void {
  const add = sync(env)
  add('list<T>.isSorted(): bool', (list: readonly Orderable[]) =>
    list.every((item, index) => index === 0 || compare(list[index - 1], item) <= 0),
  )
  add('list<T>.min(): T', (list: readonly Orderable[]) => extreme(list, 'min', -1))
  add('list<T>.max(): T', (list: readonly Orderable[]) => extreme(list, 'max', 1))
  add('list<T>.sum(): T', sum)
  add('list<T>.indexOf(T): int', (list: readonly unknown[], item: unknown) =>
    BigInt(list.findIndex((other) => celEqual(other, item))),
  )
  add('list<T>.lastIndexOf(T): int', (list: readonly unknown[], item: unknown) =>
    BigInt(list.findLastIndex((other) => celEqual(other, item))),
  )
  registerSets(env)
}

class SetsNamespace {}

function registerSets(env: Environment): void {
  env.registerType('SetsNamespace', SetsNamespace)
  env.registerConstant('sets', 'SetsNamespace', new SetsNamespace())
  const has = (list: readonly unknown[], item: unknown): boolean =>
    list.some((other) => celEqual(other, item))
  const contains = (list: readonly unknown[], part: readonly unknown[]): boolean =>
    part.every((item) => has(list, item))
  const add = sync(env)
  add(
    'SetsNamespace.contains(list<T>, list<T>): bool',
    (_: unknown, a: readonly unknown[], b: readonly unknown[]) => contains(a, b),
  )
  add(
    'SetsNamespace.equivalent(list<T>, list<T>): bool',
    (_: unknown, a: readonly unknown[], b: readonly unknown[]) => contains(a, b) && contains(b, a),
  )
  add(
    'SetsNamespace.intersects(list<T>, list<T>): bool',
    (_: unknown, a: readonly unknown[], b: readonly unknown[]) => a.some((item) => has(b, item)),
  )
}

function compare(left: unknown, right: unknown): number {
  if (!isOrderable(left) || !isOrderable(right))
    throw new CelRuntimeError('no such overload: the items have no order')
  if (left === right) return 0
  return left < right ? -1 : 1
}

const isOrderable = (value: unknown): value is Orderable =>
  ['string', 'number', 'bigint', 'boolean'].includes(typeof value) || value instanceof Date

function extreme(list: readonly Orderable[], name: string, sign: number): Orderable {
  const [first, ...rest] = list
  if (first === undefined) throw new CelRuntimeError(`${name} called on empty list`)
  return rest.reduce((best, item) => (compare(item, best) * sign > 0 ? item : best), first)
}

function sum(list: readonly unknown[]): number | bigint {
  const allInts = list.every((item) => typeof item === 'bigint')
  if (allInts) return list.reduce<bigint>((total, item) => total + (typeof item === 'bigint' ? item : 0n), 0n)
  const numbers = list.map((item) =>
    typeof item === 'number' || typeof item === 'bigint' ? Number(item) : Number.NaN,
  )
  if (numbers.some(Number.isNaN))
    throw new CelRuntimeError('no such overload: sum() of a list that is not of numbers')
  return numbers.reduce((total, item) => total + item, 0)
}

/** Equality of CEL values: 1 equals 1.0, objects field by field. */
export function celEqual(left: unknown, right: unknown): boolean {
  if (left === right) return true
  if (typeof left !== 'object' || typeof right !== 'object' || left === null || right === null) {
    return isNumber(left) && isNumber(right) && !(left < right) && !(left > right)
  }
  if (left instanceof Date && right instanceof Date) return left.getTime() === right.getTime()
  if (left.constructor !== right.constructor) return false
  const leftEntries = entriesOf(left)
  const rightEntries = new Map(entriesOf(right))
  return (
    leftEntries.length === rightEntries.size &&
    leftEntries.every(([key, value]) => rightEntries.has(key) && celEqual(value, rightEntries.get(key)))
  )
}

const entriesOf = (value: object): readonly (readonly [unknown, unknown])[] =>
  value instanceof Map ? [...value] : Object.entries(value)

const isNumber = (value: unknown): value is number | bigint =>
  typeof value === 'number' || typeof value === 'bigint'
