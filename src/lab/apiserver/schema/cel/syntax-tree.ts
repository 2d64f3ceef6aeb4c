import type { ASTNode } from '@marcbachmann/cel-js'
import { toError } from '../../../../base/index.ts'
import { compilePattern } from './pattern.ts'

/** Name of our own `matches`: the evaluator's takes JavaScript's regular expressions, not RE2's. */
export const matchesName = 're2Matches'
/** Name of the function that stands for `has()` while types are checked. */
export const definedName = 'fieldIsDefined'

const patternMethods = ['matches', 'find', 'findAll']

/**
 * Prepares a parsed expression: `matches` becomes our own.
 * @returns what is wrong with a regular expression in it, or undefined
 */
export function prepareTree(root: ASTNode): string | undefined {
  let problem: string | undefined
  walk(root, (node) => {
    if (node.op !== 'rcall') return
    const [method, , [first]] = node.args
    if (!patternMethods.includes(method)) return
    if (first?.op === 'value' && typeof first.args === 'string') problem ??= patternProblem(first.args)
    if (method === 'matches') node.args[0] = matchesName
  })
  return problem
}

/** For a tree that is only checked: the argument of `has()` is checked as an access, so that a misspelt field shows. */
export function checkHasArguments(root: ASTNode): void {
  walk(root, (node) => {
    if (node.op !== 'call' || node.args[0] !== 'has' || !hasMeta(node)) return
    node.setMeta('macro', undefined)
    node.args[0] = definedName
  })
}

// Macros are kept beside the node; the evaluator's types do not show where.
function hasMeta(node: object): node is { setMeta(key: string, value: unknown): void } & ASTNode {
  return 'setMeta' in node && typeof node.setMeta === 'function'
}

function patternProblem(source: string): string | undefined {
  try {
    compilePattern(source)
    return undefined
  } catch (error) {
    return toError(error).message
  }
}

function walk(node: ASTNode, visit: (node: ASTNode) => void): void {
  visit(node)
  for (const child of nodesIn(node.args)) walk(child, visit)
}

function nodesIn(args: unknown): readonly ASTNode[] {
  if (Array.isArray(args)) return args.flatMap(nodesIn)
  return isNode(args) ? [args] : []
}

const isNode = (value: unknown): value is ASTNode =>
  typeof value === 'object' && value !== null && 'op' in value && 'args' in value && 'range' in value
