import { InvalidInputError } from '../../../base/index.ts'
import type { ApiObject } from '../object.ts'
import { type FieldFailure, forbidden, invalid, notSupported, requiredField } from '../schema/failure.ts'
import {
  isObject,
  type JsonObject,
  jsonEqual,
  objectAt,
  ownValue,
  stringAt,
  withKey,
} from '../schema/record.ts'
import { type LabelMatcher, labelMatcherOf, matchesLabels } from '../schema/selector.ts'
import { edit, fill } from './edit.ts'
import { checkLabels } from './names.ts'
import { checkPodSpec, fillPodSpec } from './pod-spec.ts'

type Prepare = (object: ApiObject, old: ApiObject | undefined) => ApiObject
type Check = (object: ApiObject, old: ApiObject | undefined) => readonly FieldFailure[]

const historyLimit = 10
const progressSeconds = 600
const jobBackoffLimit = 6

const fillTemplate = (spec: JsonObject): JsonObject =>
  edit(spec, 'template', (template) => edit(template, 'spec', fillPodSpec))

function preparer(defaults: (spec: JsonObject) => JsonObject): Prepare {
  return (object) => ({ ...object, spec: fillTemplate(defaults(objectAt(object, 'spec') ?? {})) })
}

const rolling = (spec: JsonObject, key: string, parameters: JsonObject): JsonObject =>
  edit(spec, key, (strategy) => {
    const typed = fill(strategy, { type: 'RollingUpdate' })
    if (stringAt(typed, 'type') !== 'RollingUpdate') return typed
    return edit(typed, 'rollingUpdate', (part) => fill(part, parameters))
  })

export const prepareDeployment: Prepare = preparer((spec) =>
  rolling(
    fill(spec, {
      replicas: 1,
      revisionHistoryLimit: historyLimit,
      progressDeadlineSeconds: progressSeconds,
    }),
    'strategy',
    { maxUnavailable: '25%', maxSurge: '25%' },
  ),
)

export const prepareReplicaSet: Prepare = preparer((spec) => fill(spec, { replicas: 1 }))

export const prepareStatefulSet: Prepare = preparer((spec) =>
  rolling(
    fill(spec, {
      replicas: 1,
      podManagementPolicy: 'OrderedReady',
      revisionHistoryLimit: historyLimit,
      serviceName: '',
    }),
    'updateStrategy',
    { partition: 0 },
  ),
)

export const prepareDaemonSet: Prepare = preparer((spec) =>
  rolling(fill(spec, { revisionHistoryLimit: historyLimit }), 'updateStrategy', {
    maxSurge: 0,
    maxUnavailable: 1,
  }),
)

/** A Job selects its pods by its own uid, unless the user brings a selector and says so. */
export const prepareJob: Prepare = (object, old) => {
  const given = objectAt(object, 'spec') ?? {}
  const both = (ownValue(given, 'completions') ?? ownValue(given, 'parallelism') ?? null) === null
  const spec = fill(fillTemplate(given), {
    ...(both ? { completions: 1 } : {}),
    parallelism: 1,
    backoffLimit: jobBackoffLimit,
    completionMode: 'NonIndexed',
    suspend: false,
  })
  if (old !== undefined || ownValue(spec, 'manualSelector') === true) return { ...object, spec }
  const uid = object.metadata.uid ?? ''
  const labels = {
    'batch.kubernetes.io/controller-uid': uid,
    'batch.kubernetes.io/job-name': object.metadata.name ?? '',
    'controller-uid': uid,
    'job-name': object.metadata.name ?? '',
  }
  const labelled = edit(spec, 'template', (template) =>
    edit(template, 'metadata', (metadata) => edit(metadata, 'labels', (own) => ({ ...own, ...labels }))),
  )
  const selector = { matchLabels: { 'batch.kubernetes.io/controller-uid': uid } }
  return { ...object, spec: withKey(labelled, 'selector', selector) }
}

export const prepareCronJob: Prepare = (object) => {
  const spec = fill(objectAt(object, 'spec') ?? {}, {
    concurrencyPolicy: 'Allow',
    suspend: false,
    successfulJobsHistoryLimit: 3,
    failedJobsHistoryLimit: 1,
  })
  return { ...object, spec: edit(spec, 'jobTemplate', (job) => edit(job, 'spec', fillTemplate)) }
}

interface Rules {
  readonly restart: readonly string[]
  readonly frozen: readonly string[]
}

const always = ['Always']

/** The selector must select the template's pods, and what controllers cannot change later must stay. */
function checker(rules: Rules): Check {
  return (object, old) => {
    const spec = objectAt(object, 'spec') ?? {}
    const failures = [...checkCount(spec, 'replicas'), ...checkSelector(spec)]
    const template = objectAt(objectAt(spec, 'template'), 'spec') ?? {}
    failures.push(...checkPodSpec(template, 'spec.template.spec'))
    const policy = ownValue(template, 'restartPolicy')
    if (!rules.restart.includes(String(policy)))
      failures.push(notSupported('spec.template.spec.restartPolicy', policy, rules.restart))
    const oldSpec = old === undefined ? undefined : objectAt(old, 'spec')
    for (const key of oldSpec === undefined ? [] : rules.frozen) {
      const value = ownValue(spec, key) ?? null
      if (!jsonEqual(value, ownValue(oldSpec ?? {}, key) ?? null))
        failures.push(invalid(`spec.${key}`, value, 'field is immutable'))
    }
    return failures
  }
}

export const checkDeployment: Check = checker({ restart: always, frozen: ['selector'] })
export const checkReplicaSet: Check = checker({ restart: always, frozen: ['selector'] })
export const checkDaemonSet: Check = checker({ restart: always, frozen: ['selector'] })

const statefulSet = checker({ restart: always, frozen: [] })
const statefulMutable = [
  'replicas',
  'ordinals',
  'template',
  'updateStrategy',
  'revisionHistoryLimit',
  'persistentVolumeClaimRetentionPolicy',
  'minReadySeconds',
]

export const checkStatefulSet: Check = (object, old) => {
  const failures = [...statefulSet(object, old)]
  if (old === undefined) return failures
  const spec = objectAt(object, 'spec') ?? {}
  const before = objectAt(old, 'spec') ?? {}
  const keys = new Set([...Object.keys(spec), ...Object.keys(before)])
  const changed = [...keys].filter(
    (key) => !statefulMutable.includes(key) && !jsonEqual(spec[key] ?? null, before[key] ?? null),
  )
  if (changed.length > 0) {
    const list = statefulMutable.map((key) => `'${key}'`).join(', ')
    failures.push(
      forbidden('spec', `updates to statefulset spec for fields other than ${list} are forbidden`),
    )
  }
  return failures
}

const job = checker({
  restart: ['OnFailure', 'Never'],
  frozen: ['selector', 'template', 'completionMode'],
})

export const checkJob: Check = (object, old) => {
  const spec = objectAt(object, 'spec') ?? {}
  const counts = ['completions', 'parallelism', 'backoffLimit'].flatMap((key) => checkCount(spec, key))
  return [...counts, ...job(object, old)]
}

export const checkCronJob: Check = (object) => {
  const spec = objectAt(object, 'spec') ?? {}
  const schedule = stringAt(spec, 'schedule') ?? ''
  const failures = schedule === '' ? [requiredField('spec.schedule')] : []
  const template = objectAt(objectAt(objectAt(objectAt(spec, 'jobTemplate'), 'spec'), 'template'), 'spec')
  return [...failures, ...checkPodSpec(template ?? {}, 'spec.jobTemplate.spec.template.spec')]
}

function checkCount(spec: JsonObject, key: string): FieldFailure[] {
  const value = ownValue(spec, key) ?? 0
  if (Number.isSafeInteger(value) && Number(value) >= 0) return []
  return [invalid(`spec.${key}`, value, 'must be greater than or equal to 0')]
}

function checkSelector(spec: JsonObject): FieldFailure[] {
  const selector = objectAt(spec, 'selector')
  if (selector === undefined || Object.keys(selector).length === 0) return [requiredField('spec.selector')]
  const matcher = readSelector(selector)
  if (matcher instanceof InvalidInputError)
    return [invalid(matcher.field, matcher.value, `${matcher.message}; ${matcher.hint}`)]
  const metadata = objectAt(objectAt(spec, 'template'), 'metadata')
  const labels = metadata === undefined ? {} : (ownValue(metadata, 'labels') ?? {})
  if (!isObject(labels))
    return [invalid('spec.template.metadata.labels', labels, 'must be an object of strings')]
  const failures = checkLabels(labels, 'spec.template.metadata.labels')
  if (failures.length === 0 && !matchesLabels(matcher, labels)) {
    const detail = '`selector` does not match template `labels`'
    failures.push(invalid('spec.template.metadata.labels', labels, detail))
  }
  return failures
}

function readSelector(selector: JsonObject): LabelMatcher | InvalidInputError {
  try {
    return labelMatcherOf(selector, 'spec.selector') ?? []
  } catch (error) {
    if (error instanceof InvalidInputError) return error
    throw error
  }
}
