import { valueAt } from '../kinds/edit.ts'
import type { ApiObject } from '../object.ts'
import { isObject, type JsonObject, listAt, objectAt, ownValue, stringAt } from '../schema/record.ts'
import { age, ageColumn, type Column, humanDuration, nameColumn, textColumn } from './column.ts'

const count = (object: ApiObject, ...path: string[]): number => Number(valueAt(object, path) ?? 0)
const number = (name: string, ...path: string[]): Column => ({
  name,
  type: 'integer',
  cell: (object) => count(object, ...path),
})

const templateContainers = (object: ApiObject) =>
  listAt(objectAt(objectAt(objectAt(object, 'spec'), 'template'), 'spec'), 'containers')

const containerNames = textColumn(
  'Containers',
  (object) =>
    templateContainers(object)
      .map((item) => stringAt(item, 'name') ?? '')
      .join(','),
  1,
)
const images = textColumn(
  'Images',
  (object) =>
    templateContainers(object)
      .map((item) => stringAt(item, 'image') ?? '')
      .join(','),
  1,
)
const selector = textColumn('Selector', (object) => selectorText(valueAt(object, ['spec', 'selector'])), 1)

const operators: Readonly<Record<string, string>> = { In: 'in', NotIn: 'notin' }

/** A LabelSelector as kubectl writes it: `app=web,tier in (a,b)`. */
export function selectorText(value: unknown): string {
  if (!isObject(value)) return '<none>'
  const plain = Object.entries(objectAt(value, 'matchLabels') ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, item]) => `${key}=${String(item)}`)
  const others = listAt(value, 'matchExpressions').map((item) => {
    const key = stringAt(item, 'key') ?? ''
    const operator = stringAt(item, 'operator') ?? ''
    if (operator === 'Exists') return key
    if (operator === 'DoesNotExist') return `!${key}`
    return `${key} ${operators[operator] ?? operator} (${listAt(item, 'values').join(',')})`
  })
  const text = [...plain, ...others].join(',')
  return text === '' ? '<none>' : text
}

const tail = [containerNames, images, selector]

const deployments: readonly Column[] = [
  nameColumn,
  textColumn(
    'Ready',
    (object) => `${count(object, 'status', 'readyReplicas')}/${count(object, 'spec', 'replicas')}`,
  ),
  number('Up-to-date', 'status', 'updatedReplicas'),
  number('Available', 'status', 'availableReplicas'),
  ageColumn,
  ...tail,
]

const replicaSets: readonly Column[] = [
  nameColumn,
  number('Desired', 'spec', 'replicas'),
  number('Current', 'status', 'replicas'),
  number('Ready', 'status', 'readyReplicas'),
  ageColumn,
  ...tail,
]

const statefulSets: readonly Column[] = [
  nameColumn,
  textColumn(
    'Ready',
    (object) => `${count(object, 'status', 'readyReplicas')}/${count(object, 'spec', 'replicas')}`,
  ),
  ageColumn,
  containerNames,
  images,
]

const daemonSets: readonly Column[] = [
  nameColumn,
  number('Desired', 'status', 'desiredNumberScheduled'),
  number('Current', 'status', 'currentNumberScheduled'),
  number('Ready', 'status', 'numberReady'),
  number('Up-to-date', 'status', 'updatedNumberScheduled'),
  number('Available', 'status', 'numberAvailable'),
  textColumn('Node Selector', (object) => {
    const labels = objectAt(objectAt(objectAt(objectAt(object, 'spec'), 'template'), 'spec'), 'nodeSelector')
    return selectorText({ matchLabels: labels ?? {} })
  }),
  ageColumn,
  ...tail,
]

const jobs: readonly Column[] = [
  nameColumn,
  textColumn('Status', jobStatus),
  textColumn('Completions', completions),
  textColumn('Duration', (object, nowMs) => {
    const start = Date.parse(String(valueAt(object, ['status', 'startTime']) ?? ''))
    if (Number.isNaN(start)) return ''
    const end = Date.parse(String(valueAt(object, ['status', 'completionTime']) ?? ''))
    return humanDuration((Number.isNaN(end) ? nowMs : end) - start)
  }),
  ageColumn,
  ...tail,
]

function conditions(object: ApiObject): readonly JsonObject[] {
  return listAt(objectAt(object, 'status'), 'conditions').filter(isObject)
}

function jobStatus(object: ApiObject): string {
  const on = (type: string) =>
    conditions(object).some((item) => ownValue(item, 'type') === type && ownValue(item, 'status') === 'True')
  if (on('Complete')) return 'Complete'
  if (on('Failed')) return 'Failed'
  if (object.metadata.deletionTimestamp !== undefined) return 'Terminating'
  if (on('Suspended')) return 'Suspended'
  return on('FailureTarget') ? 'FailureTarget' : 'Running'
}

function completions(object: ApiObject): string {
  const succeeded = count(object, 'status', 'succeeded')
  const wanted = valueAt(object, ['spec', 'completions'])
  if (typeof wanted === 'number') return `${succeeded}/${wanted}`
  const parallel = count(object, 'spec', 'parallelism')
  return parallel > 1 ? `${succeeded}/1 of ${parallel}` : `${succeeded}/1`
}

const cronJobs: readonly Column[] = [
  nameColumn,
  textColumn('Schedule', (object) => valueAt(object, ['spec', 'schedule'])),
  textColumn('Timezone', (object) => valueAt(object, ['spec', 'timeZone']) ?? '<none>'),
  textColumn('Suspend', (object) => (valueAt(object, ['spec', 'suspend']) === true ? 'True' : 'False')),
  { name: 'Active', type: 'integer', cell: (object) => listAt(objectAt(object, 'status'), 'active').length },
  textColumn('Last Schedule', (object, nowMs) => {
    const last = valueAt(object, ['status', 'lastScheduleTime'])
    return typeof last === 'string' ? age(last, nowMs) : '<none>'
  }),
  ageColumn,
]

export const workloadColumns: Readonly<Record<string, readonly Column[]>> = {
  'apps/deployments': deployments,
  'apps/replicasets': replicaSets,
  'apps/statefulsets': statefulSets,
  'apps/daemonsets': daemonSets,
  'batch/jobs': jobs,
  'batch/cronjobs': cronJobs,
}
