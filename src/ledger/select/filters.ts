import type { SpiderIpPool } from '../../api/index.ts'
import { type PoolRule, poolRules, type Rule, type RuleCode } from './rules.ts'
import type { SelectionInput, Wanted } from './selection-input.ts'

/** What one rule says of a pool. */
export interface RuleResult {
  /** Stable; what went wrong when `isPassed` is false. */
  readonly code: RuleCode
  readonly isPassed: boolean
  /** The words of a refusal by this rule. */
  readonly rule: Rule
  /** The values that were compared. */
  readonly compared: string
}

/** Why a pool may not serve a request, or that it may. JSON shows all of it. */
export type Verdict = { readonly pool: string; readonly kind: 'pass' } | Rejection

/** The first rule that refuses a pool. */
export interface Rejection {
  readonly pool: string
  readonly kind: 'reject'
  readonly code: RuleCode
  readonly rule: Rule
  /** The values that were compared. */
  readonly compared: string
  /** True when all that refuses spares those who have an address already: a disabled pool strands nobody. */
  readonly isLenient: boolean
}

/** One bit for each rule: by them most rules are left out before they are asked. */
export type RuleBits = number

/** All rules but that of the family, for pools of which it is known. */
export const allButFamily: RuleBits = bitsOf(({ code }) => code !== 'pool-wrong-family')

/** The rules that can refuse a pool of this spec for one request or another. */
export function bitsOfPool(pool: SpiderIpPool): RuleBits {
  return bitsOf((rule) => rule.concerns(pool))
}

/** The rules that can refuse some pool for this request. @throws {InvalidInputError} see `confinementOf` */
export function bitsOfRequest(input: SelectionInput): RuleBits {
  return bitsOf((rule) => rule.isAsked?.(input) !== false)
}

/**
 * Asks the rules in order; the first that refuses decides.
 * @throws {InvalidInputError} when the confinement of the namespace cannot be read
 */
export function judgePool(pool: SpiderIpPool, wanted: Wanted, input: SelectionInput): Verdict {
  const bits = bitsOfPool(pool) & bitsOfRequest(input)
  return firstRejection(bits, pool, wanted, input) ?? { pool: pool.metadata.name, kind: 'pass' }
}

/** What all rules say of a pool, in the order in which they are asked. `judgePool` refuses by the first that fails. */
export function explainPool(
  pool: SpiderIpPool,
  wanted: Wanted,
  input: SelectionInput,
): readonly RuleResult[] {
  return poolRules.map((rule) => ({
    code: rule.code,
    isPassed: rule.passes(pool, wanted, input),
    rule: rule.words(pool, wanted),
    compared: rule.compared(pool, wanted, input),
  }))
}

/** One line for a message: `p4: unmatched Node name: spec.nodeName [node1], pod is on node2`. */
export function formatVerdict(verdict: Verdict): string {
  return verdict.kind === 'pass'
    ? `${verdict.pool}: fits`
    : `${verdict.pool}: ${verdict.rule}: ${verdict.compared}`
}

/** The first of the rules with these bits that refuses. */
export function firstRefusal(
  bits: RuleBits,
  pool: SpiderIpPool,
  wanted: Wanted,
  input: SelectionInput,
): PoolRule | undefined {
  for (let left = bits; left !== 0; left &= left - 1) {
    const rule = poolRules[31 - Math.clz32(left & -left)]
    if (rule !== undefined && !rule.passes(pool, wanted, input)) return rule
  }
  return undefined
}

/** The refusal by that rule. */
export function firstRejection(
  bits: RuleBits,
  pool: SpiderIpPool,
  wanted: Wanted,
  input: SelectionInput,
): Rejection | undefined {
  const rule = firstRefusal(bits, pool, wanted, input)
  return rule === undefined ? undefined : new LazyRejection(rule, pool, wanted, input)
}

/** A refusal that is put into words when somebody reads it: of thousands of pools that do not fit few are shown. */
class LazyRejection implements Rejection {
  readonly kind = 'reject'
  readonly #rule: PoolRule
  readonly #pool: SpiderIpPool
  readonly #wanted: Wanted
  readonly #input: SelectionInput

  constructor(rule: PoolRule, pool: SpiderIpPool, wanted: Wanted, input: SelectionInput) {
    this.#rule = rule
    this.#pool = pool
    this.#wanted = wanted
    this.#input = input
  }

  get pool(): string {
    return this.#pool.metadata.name
  }

  get code(): RuleCode {
    return this.#rule.code
  }

  get rule(): Rule {
    return this.#rule.words(this.#pool, this.#wanted)
  }

  get compared(): string {
    return this.#rule.compared(this.#pool, this.#wanted, this.#input)
  }

  get isLenient(): boolean {
    return poolRules.every((rule) => rule.isLenient || rule.passes(this.#pool, this.#wanted, this.#input))
  }

  toJSON(): Rejection {
    const { pool, kind, code, rule, compared, isLenient } = this
    return { pool, kind, code, rule, compared, isLenient }
  }
}

function bitsOf(isSet: (rule: PoolRule) => boolean): RuleBits {
  return poolRules.reduce((bits, rule, index) => (isSet(rule) ? bits | (1 << index) : bits), 0)
}
