import { InvalidInputError, toError } from '../../../../base/index.ts'
import { CelObject, runtimeEnvironment } from '../cel/environment.ts'
import { prepareTree } from '../cel/syntax-tree.ts'
import { isObject, listAt, stringAt } from '../record.ts'
import type { AdmissionRequest } from './admission-types.ts'

/** One entry of `matchConditions`, compiled. */
export interface MatchCondition {
  readonly name: string
  /** @throws {Error} when the expression fails on this request */
  run(variables: Readonly<Record<string, unknown>>): unknown
}

/** All must be true for a webhook to be called; `broken`: one cannot be told, and none is false. */
export type Match =
  | { readonly kind: 'match' | 'no-match' }
  | { readonly kind: 'broken'; readonly why: string }

const environment = runtimeEnvironment
  .clone()
  .registerVariable('object', 'dyn')
  .registerVariable('oldObject', 'dyn')
  .registerVariable('request', 'dyn')

const maxCompiled = 200
/** Configurations are read again for each request, their expressions stay. */
const compiled = new Map<string, MatchCondition['run']>()

/**
 * The `matchConditions` of a webhook.
 * @throws {InvalidInputError} for an expression that cannot be compiled
 */
export function readMatchConditions(webhook: unknown, path: string): readonly MatchCondition[] {
  return listAt(webhook, 'matchConditions').map((raw, index) => {
    const expression = stringAt(raw, 'expression') ?? ''
    const name = stringAt(raw, 'name') ?? ''
    return { name, run: compile(expression, `${path}.matchConditions[${index}].expression`) }
  })
}

function compile(expression: string, field: string): MatchCondition['run'] {
  const known = compiled.get(expression)
  if (known !== undefined) return known
  const hint = 'write a CEL expression on object, oldObject and request'
  try {
    const parsed = environment.parse(expression)
    const problem = prepareTree(parsed.ast)
    const { valid, error } = parsed.check()
    if (problem !== undefined || !valid) throw problem === undefined ? toError(error) : new TypeError(problem)
    const run: MatchCondition['run'] = (variables) => parsed({ ...variables })
    if (compiled.size >= maxCompiled) compiled.clear()
    compiled.set(expression, run)
    return run
  } catch (error) {
    throw new InvalidInputError(field, expression, `cannot be compiled: ${toError(error).message}`, hint)
  }
}

/** Whether a request meets all conditions. */
export function matchesConditions(conditions: readonly MatchCondition[], request: AdmissionRequest): Match {
  if (conditions.length === 0) return { kind: 'match' }
  const { object, oldObject, operation, name, namespace, userInfo, dryRun, resource } = request
  const variables = {
    object: toDynamic(object),
    oldObject: toDynamic(oldObject),
    request: toDynamic({ operation, name, namespace, userInfo, dryRun, resource }),
  }
  let why: string | undefined
  for (const { name: condition, run } of conditions) {
    try {
      if (run(variables) !== true) return { kind: 'no-match' }
    } catch (error) {
      why ??= `${condition}: ${toError(error).message.split('\n')[0] ?? ''}`
    }
  }
  return why === undefined ? { kind: 'match' } : { kind: 'broken', why }
}

/** JSON as an expression without schema sees it: whole numbers are int. */
function toDynamic(value: unknown): unknown {
  if (value === undefined) return null
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : value
  if (Array.isArray(value)) return value.map(toDynamic)
  if (!isObject(value)) return value
  return new CelObject(Object.entries(value).map(([key, item]) => [key, () => toDynamic(item)] as const))
}
