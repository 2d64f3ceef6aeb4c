import { unreachable } from '../../base/index.ts'
import type { DryAddress, DryAnswer } from '../../controller/index.ts'
import type { FamilyExplained, NicExplained, PodExplained, PoolExplained } from './explain-pod.ts'

/** Equal results are shown once. */
export interface Explanation {
  /** `namespace/name`. */
  readonly pod: string
  readonly isServed: boolean
  readonly results: readonly (Omit<PodExplained, 'node'> & { readonly nodes: readonly string[] })[]
  readonly notes: readonly string[]
}

/** Joins the results of nodes where all is judged alike: of each group only the values of the first node are held. */
export class ResultGroups {
  readonly #groups = new Map<string, { readonly nodes: string[]; readonly first: PodExplained }>()
  nodeCount = 0

  add(result: PodExplained): void {
    this.nodeCount++
    const key = JSON.stringify(result.nics.map(essenceOf))
    const found = this.#groups.get(key)
    if (found === undefined) this.#groups.set(key, { nodes: [result.node], first: result })
    else found.nodes.push(result.node)
  }

  results(): Explanation['results'] {
    return [...this.#groups.values()].map(({ nodes, first: { nics, isServed } }) => ({
      nodes,
      nics,
      isServed,
    }))
  }
}

/** What matters of a NIC when nodes are compared: not the values, which name the node, and not which address is next. */
function essenceOf({ nic, families, answer, warnings }: NicExplained): unknown {
  const judged = families.map(({ version, pools }) => [
    version,
    pools.map(({ name, rules }) => [name, rules.map(({ isPassed }) => isPassed)]),
  ])
  const outcome = answer.kind === 'answered' ? answer.addresses.map(({ pool }) => pool) : answer.reason
  return [nic, judged, outcome, warnings]
}

const poolsInFull = 8
const poolsShown = 30
const nodesShown = 10

/** The explanation for people. */
export function explanationLines({ pod, results, notes }: Explanation): readonly string[] {
  const parts = results.flatMap(({ nodes, nics, isServed: isHere }) => [
    `Pod ${pod} on ${nodesText(nodes)}: ${isHere ? 'would get its addresses' : 'would be refused'}`,
    ...nics.flatMap((nic) => nicLines(nic).map((line) => `  ${line}`)),
    ...(nics.length === 0 ? ['  no NIC of it gets an address from here'] : []),
    '',
  ])
  return [...parts, ...notes.map((note) => `Note: ${note}`)]
}

function nodesText(nodes: readonly string[]): string {
  const [first = 'no node'] = nodes
  if (nodes.length === 1) return `node ${first}`
  const more = nodes.length > nodesShown ? `, and ${nodes.length - nodesShown} more` : ''
  return `nodes ${nodes.slice(0, nodesShown).join(', ')}${more} (values of ${first})`
}

function nicLines({ nic, network, families, warnings, holds, answer }: NicExplained): readonly string[] {
  return [
    `NIC ${nic}${network === undefined ? '' : ` of network ${network}`}`,
    ...warnings.map((warning) => `  warning: ${warning}`),
    ...families.flatMap((family) => familyLines(family).map((line) => `  ${line}`)),
    ...(holds.length === 0 ? [] : [`  holds: ${holds.map(({ ip, pool }) => `${ip} of ${pool}`).join(', ')}`]),
    ...answerLines(answer).map((line) => `  ${line}`),
  ]
}

function familyLines({ version, source, pools }: FamilyExplained): readonly string[] {
  const more = pools.length - poolsShown
  return [
    `IPv${version}: pools named by ${source}`,
    ...pools
      .slice(0, poolsShown)
      .flatMap((pool, index) => poolLines(pool, index < poolsInFull).map((line) => `  ${line}`)),
    ...(more > 0 ? [`  and ${more} more pools (-o json has all)`] : []),
  ]
}

function poolLines(pool: PoolExplained, isInFull: boolean): readonly string[] {
  const { name, isEligible, rules, counts, problem } = pool
  const usage =
    counts === undefined ? (problem ?? '') : `${counts.free} of ${counts.total} free, ${counts.used} used`
  const shown = isInFull ? rules : rules.filter(({ isPassed }) => !isPassed)
  const width = Math.max(...rules.map(({ code }) => code.length))
  return [
    `${name}: ${isEligible ? 'fits' : 'does not fit'}, ${usage}`,
    ...shown.map(({ code, isPassed, rule, compared }) => {
      // A refusal has the words of the Event: they can be searched for.
      return isPassed
        ? `  ok    ${code.padEnd(width)}   ${compared}`
        : `  FAIL  ${code.padEnd(width)}   ${rule}: ${compared}`
    }),
  ]
}

function answerLines(answer: DryAnswer): readonly string[] {
  switch (answer.kind) {
    case 'answered':
      return [`result: ${answer.addresses.map(addressText).join(', ')}`]
    case 'refused':
      return [`refused: ${answer.message}`, `         ${answer.hint} (reason: ${answer.reason})`]
    default:
      return unreachable(answer)
  }
}

function addressText({ ip, pool, claim, isStatic }: DryAddress): string {
  const why = claim === undefined ? (isStatic === true ? ' (asked for)' : '') : ` (kept by ${claim})`
  return `${ip} of ${pool}${why}`
}
