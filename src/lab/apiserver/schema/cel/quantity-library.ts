import type { Environment } from '@marcbachmann/cel-js'
import { CelRuntimeError } from './runtime-error.ts'
import { sync } from './sync.ts'

/** The CEL type `kubernetes.Quantity`: an exact fraction in units of 10^-9. */
class CelQuantity {
  readonly nanos: bigint
  constructor(nanos: bigint) {
    this.nanos = nanos
  }
}

const billion = 1_000_000_000n
const binary: Readonly<Record<string, bigint>> = {
  Ki: 1n << 10n,
  Mi: 1n << 20n,
  Gi: 1n << 30n,
  Ti: 1n << 40n,
  Pi: 1n << 50n,
  Ei: 1n << 60n,
}
const decimalExponents: Readonly<Record<string, number>> = {
  n: -9,
  u: -6,
  m: -3,
  '': 0,
  k: 3,
  M: 6,
  G: 9,
  T: 12,
  P: 15,
  E: 18,
}
const form = /^([+-]?)(\d*)(?:\.(\d*))?(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]?|[eE][+-]?\d{1,2})$/

/** Parses a resource quantity such as 100m or 1Gi. @returns undefined for other text */
function findQuantity(text: string): CelQuantity | undefined {
  const match = form.exec(text)
  if (match === null) return undefined
  const whole = match[2] ?? ''
  const fraction = (match[3] ?? '').slice(0, 18)
  if (whole === '' && fraction === '') return undefined
  const digits = BigInt(`${whole}${fraction}`) * (match[1] === '-' ? -1n : 1n)
  const suffix = match[4] ?? ''
  const factor = binary[suffix]
  if (factor !== undefined)
    return new CelQuantity((digits * factor * billion) / 10n ** BigInt(fraction.length))
  const exponent = decimalExponents[suffix] ?? Number(suffix.slice(1))
  const shift = exponent - fraction.length + 9
  return new CelQuantity(shift >= 0 ? digits * 10n ** BigInt(shift) : digits / 10n ** BigInt(-shift))
}

function toQuantity(text: string): CelQuantity {
  const quantity = findQuantity(text)
  if (quantity === undefined) throw new CelRuntimeError(`quantity: ${JSON.stringify(text)} is not a quantity`)
  return quantity
}

/** Registers `quantity()` and what belongs to it. */
export function registerQuantityLibrary(env: Environment): void {
  env.registerType('kubernetes.Quantity', CelQuantity)
  env.registerOperator(
    'kubernetes.Quantity == kubernetes.Quantity',
    (a: CelQuantity, b: CelQuantity) => a.nanos === b.nanos,
  )
  const add = sync(env)
  const on = 'kubernetes.Quantity'
  const order = (a: CelQuantity, b: CelQuantity): bigint =>
    a.nanos === b.nanos ? 0n : a.nanos < b.nanos ? -1n : 1n
  add(`quantity(string): ${on}`, toQuantity)
  add('isQuantity(string): bool', (text: string) => findQuantity(text) !== undefined)
  add(`${on}.sign(): int`, (a: CelQuantity) => order(a, new CelQuantity(0n)))
  add(`${on}.isInteger(): bool`, (a: CelQuantity) => a.nanos % billion === 0n)
  add(`${on}.asInteger(): int`, (a: CelQuantity) => {
    if (a.nanos % billion !== 0n) throw new CelRuntimeError('cannot convert value to integer')
    return a.nanos / billion
  })
  add(`${on}.asApproximateFloat(): double`, (a: CelQuantity) => Number(a.nanos) / 1e9)
  add(`${on}.compareTo(${on}): int`, order)
  add(`${on}.isGreaterThan(${on}): bool`, (a: CelQuantity, b: CelQuantity) => a.nanos > b.nanos)
  add(`${on}.isLessThan(${on}): bool`, (a: CelQuantity, b: CelQuantity) => a.nanos < b.nanos)
  for (const [name, sign] of [
    ['add', 1n],
    ['sub', -1n],
  ] as const) {
    add(
      `${on}.${name}(${on}): ${on}`,
      (a: CelQuantity, b: CelQuantity) => new CelQuantity(a.nanos + sign * b.nanos),
    )
    add(
      `${on}.${name}(int): ${on}`,
      (a: CelQuantity, b: bigint) => new CelQuantity(a.nanos + sign * b * billion),
    )
  }
}
