import type { LabNode, WorkloadPod } from '../model/kinds.ts'
import { nodeProblem, untoleratedTaint } from './node-fit.ts'

/** A node and how full it is. */
export interface NodeLoad {
  readonly node: LabNode
  readonly podCount: number
  /** Pods of the same controller on it. */
  readonly siblingCount: number
}

export type NodeChoice =
  | { readonly kind: 'bind'; readonly node: string }
  | { readonly kind: 'unschedulable'; readonly message: string }

const defaultPodsPerNode = 110

/**
 * The node for a pod: of those that it may run on, the one with the fewest taints it would rather avoid, the fewest
 * pods of its controller, the fewest pods, the first name. The same loads always give the same choice.
 */
export function chooseNode(pod: WorkloadPod, loads: readonly NodeLoad[]): NodeChoice {
  const spec = pod.spec ?? {}
  const problems = new Map<string, number>()
  const fitting: NodeLoad[] = []
  for (const load of loads) {
    const problem = nodeProblem(spec, load.node) ?? fullness(load)
    if (problem === undefined) fitting.push(load)
    else problems.set(problem, (problems.get(problem) ?? 0) + 1)
  }
  const [best] = fitting
    .map((load) => ({ load, rank: rankOf(pod, load) }))
    .sort((a, b) => compare(a.rank, b.rank) || (nameOf(a.load) < nameOf(b.load) ? -1 : 1))
  if (best !== undefined) return { kind: 'bind', node: nameOf(best.load) }
  return { kind: 'unschedulable', message: explain(loads.length, problems) }
}

const nameOf = ({ node }: NodeLoad): string => node.metadata.name

function fullness({ node, podCount }: NodeLoad): string | undefined {
  const limit = Number(node.status?.allocatable?.pods ?? defaultPodsPerNode)
  return podCount >= (Number.isNaN(limit) ? defaultPodsPerNode : limit) ? 'had too many pods' : undefined
}

function rankOf(pod: WorkloadPod, load: NodeLoad): readonly number[] {
  const avoided = untoleratedTaint(pod.spec ?? {}, load.node, ['PreferNoSchedule']) === undefined ? 0 : 1
  return [avoided, load.siblingCount, load.podCount]
}

function compare(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((value, i) => value !== b[i])
  return at < 0 ? 0 : (a[at] ?? 0) - (b[at] ?? 0)
}

function explain(nodeCount: number, problems: ReadonlyMap<string, number>): string {
  const head = `0/${nodeCount} nodes are available`
  if (nodeCount === 0) return `${head}: there is no node yet`
  const parts = [...problems].map(([problem, count]) =>
    problem === 'had too many pods' ? `${count} Too many pods` : `${count} node(s) ${problem}`,
  )
  return `${head}: ${parts.sort().join(', ')}.`
}
