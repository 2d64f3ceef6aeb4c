import { type LabelExpression, matchesSelector, type Taint, type Toleration } from '../../../api/index.ts'
import type { LabNode, NodeSelectorTerm, PodSpec } from '../model/kinds.ts'

/** Why a pod cannot run on a node, worded as Kubernetes does after "n node(s)"; undefined when it can. */
export function nodeProblem(spec: PodSpec, node: LabNode): string | undefined {
  if (node.spec?.unschedulable === true && !isTolerated(unschedulable, spec.tolerations)) {
    return 'were unschedulable'
  }
  if (!isSelected(spec, node)) return "didn't match Pod's node affinity/selector"
  const taint = untoleratedTaint(spec, node, ['NoSchedule', 'NoExecute'])
  if (taint !== undefined) return `had untolerated taint {${taint.key}: ${taint.value ?? ''}}`
  const ready = node.status?.conditions?.find(({ type }) => type === 'Ready')
  const isDown = ready !== undefined && ready.status !== 'True' && !isTolerated(notReady, spec.tolerations)
  return isDown ? `had untolerated taint {${notReady.key}: }` : undefined
}

const unschedulable: Taint = { key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' }
const notReady: Taint = { key: 'node.kubernetes.io/not-ready', effect: 'NoSchedule' }

/** The first taint of one of the effects that the pod does not tolerate. */
export function untoleratedTaint(
  spec: PodSpec,
  node: LabNode,
  effects: readonly string[],
): Taint | undefined {
  const taints = node.spec?.taints ?? []
  return taints.find((taint) => effects.includes(taint.effect) && !isTolerated(taint, spec.tolerations))
}

/** (Kubernetes documentation, "Taints and Tolerations") */
export function isTolerated(taint: Taint, tolerations: readonly Toleration[] = []): boolean {
  return tolerations.some(({ key = '', operator = 'Equal', value = '', effect = '' }) => {
    if (effect !== '' && effect !== taint.effect) return false
    if (key === '') return operator === 'Exists'
    if (key !== taint.key) return false
    return operator === 'Exists' || value === (taint.value ?? '')
  })
}

/** nodeSelector and required nodeAffinity, both of which must hold. */
export function isSelected(spec: PodSpec, node: LabNode): boolean {
  const labels = node.metadata.labels ?? {}
  if (!matchesSelector({ matchLabels: spec.nodeSelector ?? {} }, labels)) return false
  const required = spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution
  if (required === undefined || required === null) return true
  return (required.nodeSelectorTerms ?? []).some((term) => matchesTerm(term, node))
}

/** All conditions of a term hold; a term without any matches nothing. */
function matchesTerm({ matchExpressions = [], matchFields = [] }: NodeSelectorTerm, node: LabNode): boolean {
  if (matchExpressions.length + matchFields.length === 0) return false
  const labels = node.metadata.labels ?? {}
  const fields = { 'metadata.name': node.metadata.name }
  return (
    matchExpressions.every((expression) => matchesNode(expression, labels)) &&
    matchFields.every((expression) => matchesNode(expression, fields))
  )
}

/** As label selectors, and Gt and Lt for integers besides. */
function matchesNode(expression: LabelExpression, labels: Readonly<Record<string, string>>): boolean {
  const { key, operator, values = [] } = expression
  if (operator !== 'Gt' && operator !== 'Lt')
    return matchesSelector({ matchExpressions: [expression] }, labels)
  const [bound = ''] = values
  const value = labels[key] ?? ''
  if (!/^-?\d{1,15}$/.test(value) || !/^-?\d{1,15}$/.test(bound)) return false
  return operator === 'Gt' ? Number(value) > Number(bound) : Number(value) < Number(bound)
}
