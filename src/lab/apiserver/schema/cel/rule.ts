import { type Environment, Optional } from '@marcbachmann/cel-js'
import { toError } from '../../../../base/index.ts'
import { isObject, type JsonObject, ownValue } from '../record.ts'
import { type CelType, checkingEnvironment, runtimeEnvironment } from './environment.ts'
import { checkHasArguments, prepareTree } from './syntax-tree.ts'

/** A rule as `x-kubernetes-validations` states it, ready to run on values of CEL. */
export interface CelRule {
  readonly source: string
  /** The rule compares with the old value: it runs only when there is one (always, when the old one is optional). */
  readonly isTransition: boolean
  readonly hasOptionalOld: boolean
  readonly reason: CelReason
  /** Appended to the path of the node, such as `.ips`; '' for none. */
  readonly fieldPath: string
  readonly message: string
  /** @returns undefined when the rule holds, else the message for the user */
  run(self: unknown, oldSelf: unknown): string | undefined
}

type CelReason = 'FieldValueInvalid' | 'FieldValueForbidden' | 'FieldValueRequired' | 'FieldValueDuplicate'

/** Why a rule cannot be compiled: the key of the rule that is wrong, and what is wrong with it. */
export interface RuleProblem {
  readonly key: string
  readonly value: unknown
  readonly problem: string
  readonly hint: string
}

const reasons: readonly CelReason[] = [
  'FieldValueInvalid',
  'FieldValueForbidden',
  'FieldValueRequired',
  'FieldValueDuplicate',
]
const maxRuleCharacters = 10_000
const maxMessageCharacters = 5120

/** Compiles one entry of `x-kubernetes-validations` for a node of type `self`. Nothing of it is ever skipped. */
export function compileRule(raw: unknown, self: CelType): CelRule | RuleProblem {
  if (!isObject(raw))
    return { key: '', value: raw, problem: 'is not an object', hint: 'write rule and message' }
  const texts = readTexts(raw)
  if ('problem' in texts) return texts
  const hasOptionalOld = ownValue(raw, 'optionalOldSelf') === true
  const rule = compileText(texts.rule, 'bool', self, hasOptionalOld)
  if ('problem' in rule) return { ...rule, key: 'rule' }
  if (hasOptionalOld && !rule.usesOld) {
    const problem = 'is set, but the rule does not use oldSelf'
    return { key: 'optionalOldSelf', value: true, problem, hint: 'remove it' }
  }
  const hasMessageExpression = texts.messageExpression !== ''
  const message = hasMessageExpression
    ? compileText(texts.messageExpression, 'string', self, hasOptionalOld)
    : undefined
  if (message !== undefined && 'problem' in message) return { ...message, key: 'messageExpression' }
  const fallback = texts.message === '' ? `failed rule: ${texts.rule.trim()}` : texts.message
  return {
    source: texts.rule,
    isTransition: rule.usesOld || message?.usesOld === true,
    hasOptionalOld,
    reason: texts.reason,
    fieldPath: texts.fieldPath,
    message: fallback,
    run: (value, old) => {
      const context = { self: value, ...(hasOptionalOld ? { oldSelf: Optional.of(old) } : { oldSelf: old }) }
      const verdict = evaluate(rule.run, context)
      if (verdict.value === true) return undefined
      if (verdict.error !== undefined) return `${verdict.error} evaluating rule: ${fallback}`
      return messageFrom(message?.run, context) ?? fallback
    },
  }
}

interface RuleTexts {
  readonly rule: string
  readonly message: string
  readonly messageExpression: string
  readonly fieldPath: string
  readonly reason: CelReason
}

const fieldPathForm = /^(\.[A-Za-z_][\w-]*|\['[^']+'\])+$/

function readTexts(raw: JsonObject): RuleTexts | RuleProblem {
  const text = (key: string): string | RuleProblem => {
    const value = ownValue(raw, key)
    if (value === undefined) return ''
    return typeof value === 'string'
      ? value
      : { key, value, problem: 'is not a string', hint: 'write a string' }
  }
  const found = ['rule', 'message', 'messageExpression', 'fieldPath', 'reason'].map(text)
  const bad = found.find((item) => typeof item !== 'string')
  if (bad !== undefined && typeof bad !== 'string') return bad
  const [rule = '', message = '', messageExpression = '', fieldPath = '', reason = ''] = found.map(String)
  const problem = (key: string, value: unknown, words: string, hint: string): RuleProblem => ({
    key,
    value,
    problem: words,
    hint,
  })
  if (rule.trim() === '') return problem('rule', rule, 'is empty', 'write a CEL expression')
  if (rule.length > maxRuleCharacters)
    return problem('rule', rule, `has over ${maxRuleCharacters} characters`, 'split it')
  if (message.length > maxMessageCharacters)
    return problem('message', message, 'is too long', 'write a shorter one')
  if (message.includes('\n')) return problem('message', message, 'has a line break', 'write one line')
  if (rule.trim().includes('\n') && message === '') {
    return problem('message', null, 'is required, as the rule has several lines', 'write a message')
  }
  if (fieldPath !== '' && !fieldPathForm.test(fieldPath)) {
    return problem('fieldPath', fieldPath, 'is not a path such as .spec.ips', "write .name or ['name'] steps")
  }
  const known = reasons.find((item) => item === reason)
  if (known === undefined && reason !== '') {
    return problem('reason', reason, 'is not supported', `write one of ${reasons.join(', ')}`)
  }
  return { rule, message, messageExpression, fieldPath, reason: known ?? 'FieldValueInvalid' }
}

type Runner = (context: Record<string, unknown>) => unknown

interface CompiledText {
  readonly run: Runner
  readonly usesOld: boolean
}

/**
 * Checks the types against the schema, then compiles for dynamic values: the check refuses misspelt fields and unknown
 * functions; at run time a nullable field may hold null, which static types would not allow.
 */
function compileText(
  source: string,
  wanted: 'bool' | 'string',
  self: CelType,
  hasOptionalOld: boolean,
): CompiledText | Omit<RuleProblem, 'key'> {
  const hint = 'see the CEL page of the Kubernetes documentation for fields, functions and types'
  const refused = (why: string): Omit<RuleProblem, 'key'> => ({
    value: source,
    problem: `cannot be compiled: ${why}`,
    hint,
  })
  try {
    const type = checkedType(source, checkingEnvironment(self, hasOptionalOld ? 'optional' : 'present'))
    if (type !== wanted && type !== 'dyn') {
      return {
        value: source,
        problem: `gives ${type}, not ${wanted}`,
        hint: `write an expression of ${wanted}`,
      }
    }
    const parsed = runtimeEnvironment.parse(source)
    const problem = prepareTree(parsed.ast)
    if (problem !== undefined) return refused(problem)
    const checked = parsed.check()
    if (!checked.valid) return refused(firstLine(checked.error))
    return { run: (context) => parsed(context), usesOld: !checksWithoutOld(source, self) }
  } catch (error) {
    return refused(firstLine(error))
  }
}

/** @throws {Error} when the expression does not fit the types */
function checkedType(source: string, env: Environment): string {
  const parsed = env.parse(source)
  checkHasArguments(parsed.ast)
  const { valid, type = 'dyn', error } = parsed.check()
  if (!valid) throw toError(error)
  return type
}

const checksWithoutOld = (source: string, self: CelType): boolean =>
  checkingEnvironment(self, 'absent').check(source).valid

const firstLine = (error: unknown): string => toError(error).message.split('\n')[0] ?? ''

function evaluate(
  run: Runner,
  context: Record<string, unknown>,
): { readonly value?: unknown; readonly error?: string } {
  try {
    const value = run(context)
    return typeof value === 'boolean' ? { value } : { error: 'the rule did not give a boolean' }
  } catch (error) {
    return { error: firstLine(error) }
  }
}

function messageFrom(run: Runner | undefined, context: Record<string, unknown>): string | undefined {
  if (run === undefined) return undefined
  try {
    const text = run(context)
    const usable = typeof text === 'string' && text.trim() !== '' && !text.includes('\n')
    return usable ? text.slice(0, maxMessageCharacters) : undefined
  } catch {
    // A message expression that fails must not hide that the rule failed: the fixed message is used.
    return undefined
  }
}
