import { valueAt } from '../kinds/edit.ts'
import type { ApiObject } from '../object.ts'
import { type JsonObject, listAt, objectAt, ownValue, stringAt } from '../schema/record.ts'
import { ageColumn, type Column, humanDuration, nameColumn, textColumn } from './column.ts'

/** NAME READY STATUS RESTARTS AGE, wide: IP NODE NOMINATED NODE READINESS GATES. */
export const podColumns: readonly Column[] = [
  nameColumn,
  textColumn('Ready', (pod) => {
    const total = listAt(objectAt(pod, 'spec'), 'containers').length
    return `${containers(pod).filter((item) => flag(item, 'ready')).length}/${total}`
  }),
  textColumn('Status', podStatus),
  textColumn('Restarts', restarts),
  ageColumn,
  textColumn('IP', podAddress, 1),
  textColumn('Node', (pod) => textAt(pod, 'spec', 'nodeName'), 1),
  textColumn('Nominated Node', (pod) => textAt(pod, 'status', 'nominatedNodeName'), 1),
  textColumn('Readiness Gates', readinessGates, 1),
]

const none = '<none>'

function textAt(object: ApiObject, ...path: string[]): string {
  const value = valueAt(object, path)
  return typeof value === 'string' && value !== '' ? value : none
}

function podAddress(pod: ApiObject): string {
  const first = stringAt(listAt(objectAt(pod, 'status'), 'podIPs')[0], 'ip')
  return first ?? textAt(pod, 'status', 'podIP')
}

function flag(value: unknown, key: string): boolean {
  return typeof value === 'object' && value !== null && Reflect.get(value, key) === true
}

const containers = (pod: ApiObject) => listAt(objectAt(pod, 'status'), 'containerStatuses')
const initContainers = (pod: ApiObject) => listAt(objectAt(pod, 'status'), 'initContainerStatuses')

const state = (container: unknown, name: string): JsonObject | undefined =>
  objectAt(isRecord(container) ? ownValue(container, 'state') : undefined, name)

function isRecord(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** One word for what a pod is doing: its phase, or what holds a container, or that it is going away. */
export function podStatus(pod: ApiObject): string {
  const status = objectAt(pod, 'status')
  const phase = stringAt(status, 'phase') ?? 'Unknown'
  const reason = stringAt(status, 'reason') ?? ''
  let word = reason === '' ? phase : reason
  const init = initStatus(pod)
  if (init !== undefined) word = init
  else word = containersStatus(pod, word)
  if (pod.metadata.deletionTimestamp === undefined) return word
  return reason === 'NodeLost' ? 'Unknown' : 'Terminating'
}

function initStatus(pod: ApiObject): string | undefined {
  const all = initContainers(pod)
  const total = listAt(objectAt(pod, 'spec'), 'initContainers').length
  for (const [index, container] of all.entries()) {
    const ended = state(container, 'terminated')
    if (ended !== undefined && Number(ownValue(ended, 'exitCode') ?? 0) === 0) continue
    if (ended !== undefined) return `Init:${endReason(ended)}`
    const waiting = stringAt(state(container, 'waiting'), 'reason') ?? ''
    return waiting !== '' && waiting !== 'PodInitializing' ? `Init:${waiting}` : `Init:${index}/${total}`
  }
  return undefined
}

function endReason(ended: JsonObject): string {
  const reason = stringAt(ended, 'reason') ?? ''
  if (reason !== '') return reason
  const signal = Number(ownValue(ended, 'signal') ?? 0)
  return signal === 0 ? `ExitCode:${String(ownValue(ended, 'exitCode') ?? 0)}` : `Signal:${signal}`
}

function containersStatus(pod: ApiObject, start: string): string {
  let word = start
  let isRunning = false
  for (const container of containers(pod).toReversed()) {
    const waiting = stringAt(state(container, 'waiting'), 'reason') ?? ''
    const ended = state(container, 'terminated')
    if (waiting !== '') word = waiting
    else if (ended !== undefined) word = endReason(ended)
    else if (state(container, 'running') !== undefined && flag(container, 'ready')) isRunning = true
  }
  if (word !== 'Completed' || !isRunning) return word
  const ready = listAt(objectAt(pod, 'status'), 'conditions').some(
    (item) => stringAt(item, 'type') === 'Ready' && stringAt(item, 'status') === 'True',
  )
  return ready ? 'Running' : 'NotReady'
}

function restarts(pod: ApiObject, nowMs: number): string {
  let count = 0
  let last = Number.NaN
  for (const container of [...initContainers(pod), ...containers(pod)]) {
    if (!isRecord(container)) continue
    count += Number(ownValue(container, 'restartCount') ?? 0)
    const finished = stringAt(objectAt(objectAt(container, 'lastState'), 'terminated'), 'finishedAt')
    const at = Date.parse(finished ?? '')
    if (!Number.isNaN(at)) last = Number.isNaN(last) ? at : Math.max(last, at)
  }
  if (count === 0 || Number.isNaN(last)) return String(count)
  return `${count} (${humanDuration(nowMs - last)} ago)`
}

function readinessGates(pod: ApiObject): string {
  const gates = listAt(objectAt(pod, 'spec'), 'readinessGates')
  if (gates.length === 0) return none
  const conditions = listAt(objectAt(pod, 'status'), 'conditions')
  const passed = gates.filter((gate) =>
    conditions.some(
      (item) =>
        stringAt(item, 'type') === stringAt(gate, 'conditionType') && stringAt(item, 'status') === 'True',
    ),
  )
  return `${passed.length}/${gates.length}`
}
