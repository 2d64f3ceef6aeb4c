import { type FieldFailure, invalid, notSupported, requiredField } from '../schema/failure.ts'
import { isObject, type JsonObject, listAt, objectAt, ownValue, stringAt } from '../schema/record.ts'
import { editEach, fill } from './edit.ts'
import { nameProblem } from './names.ts'

const graceSeconds = 30

/** A pod's spec, of a pod or of a workload's template, with the defaults that clients see. */
export function fillPodSpec(spec: JsonObject): JsonObject {
  const filled = fill(spec, {
    restartPolicy: 'Always',
    terminationGracePeriodSeconds: graceSeconds,
    dnsPolicy: 'ClusterFirst',
    securityContext: {},
    schedulerName: 'default-scheduler',
  })
  return editEach(editEach(filled, 'containers', fillContainer), 'initContainers', fillContainer)
}

function fillContainer(container: JsonObject): JsonObject {
  const image = stringAt(container, 'image') ?? ''
  const tag = /:([^:/@]+)$/.exec(image)?.[1]
  const isLatest = (tag === undefined && !image.includes('@')) || tag === 'latest'
  const filled = fill(container, {
    resources: {},
    terminationMessagePath: '/dev/termination-log',
    terminationMessagePolicy: 'File',
    imagePullPolicy: isLatest ? 'Always' : 'IfNotPresent',
  })
  return editEach(filled, 'ports', (port) => fill(port, { protocol: 'TCP' }))
}

/** Only for pods, not for templates. */
export function fillPodOnly(spec: JsonObject): JsonObject {
  const account = stringAt(spec, 'serviceAccountName') ?? stringAt(spec, 'serviceAccount') ?? 'default'
  return fill(withTolerations(spec), {
    serviceAccountName: account,
    serviceAccount: account,
    enableServiceLinks: true,
    preemptionPolicy: 'PreemptLowerPriority',
    priority: 0,
  })
}

const notReadySeconds = 300

function withTolerations(spec: JsonObject): JsonObject {
  const present = listAt(spec, 'tolerations')
  const covers = (key: string) =>
    present.some((item) => {
      const own = stringAt(item, 'key') ?? ''
      const effect = stringAt(item, 'effect') ?? ''
      return (own === key || own === '') && (effect === 'NoExecute' || effect === '')
    })
  const added = ['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable']
    .filter((key) => !covers(key))
    .map((key) => ({ key, operator: 'Exists', effect: 'NoExecute', tolerationSeconds: notReadySeconds }))
  return added.length === 0 ? spec : { ...spec, tolerations: [...present, ...added] }
}

const restartPolicies = ['Always', 'OnFailure', 'Never']

export function checkPodSpec(spec: JsonObject, field: string): FieldFailure[] {
  const failures: FieldFailure[] = []
  const containers = ownValue(spec, 'containers')
  if (!Array.isArray(containers) || containers.length === 0)
    failures.push(requiredField(`${field}.containers`))
  else failures.push(...checkContainers(containers, `${field}.containers`))
  const policy = ownValue(spec, 'restartPolicy')
  if (!restartPolicies.includes(String(policy)))
    failures.push(notSupported(`${field}.restartPolicy`, policy, restartPolicies))
  const grace = ownValue(spec, 'terminationGracePeriodSeconds')
  if (!Number.isSafeInteger(grace) || Number(grace) < 0) {
    const detail = 'must be greater than or equal to 0'
    failures.push(invalid(`${field}.terminationGracePeriodSeconds`, grace, detail))
  }
  failures.push(...checkTextMap(spec, 'nodeSelector', field))
  return failures
}

function checkTextMap(spec: JsonObject, key: string, field: string): FieldFailure[] {
  const map = ownValue(spec, key)
  if (map === undefined || map === null) return []
  if (!isObject(map)) return [invalid(`${field}.${key}`, map, 'must be an object of strings')]
  return Object.entries(map)
    .filter(([, value]) => typeof value !== 'string')
    .map(([name, value]) => invalid(`${field}.${key}[${name}]`, value, 'must be a string'))
}

function checkContainers(containers: readonly unknown[], field: string): FieldFailure[] {
  const failures: FieldFailure[] = []
  const seen = new Set<string>()
  for (const [index, container] of containers.entries()) {
    const path = `${field}[${index}]`
    if (!isObject(container)) {
      failures.push(invalid(path, container, 'must be an object'))
      continue
    }
    const name = ownValue(container, 'name') ?? ''
    if (name === '') failures.push(requiredField(`${path}.name`))
    else if (typeof name !== 'string') failures.push(invalid(`${path}.name`, name, 'must be a string'))
    else {
      const problem = nameProblem('label', name)
      if (problem !== undefined) failures.push(invalid(`${path}.name`, name, problem))
      if (seen.has(name))
        failures.push({
          field: `${path}.name`,
          reason: 'FieldValueDuplicate',
          message: `Duplicate value: "${name}"`,
        })
      seen.add(name)
    }
    const image = ownValue(container, 'image')
    if (typeof image !== 'string' || image === '') failures.push(requiredField(`${path}.image`))
  }
  return failures
}

/** The quality-of-service class that `kubectl describe` shows. */
export function qosClass(spec: JsonObject): string {
  const all = [...listAt(spec, 'containers'), ...listAt(spec, 'initContainers')]
  const resources = all.map((container) => objectAt(container, 'resources') ?? {})
  const has = (part: JsonObject, key: string) => Object.keys(objectAt(part, key) ?? {}).length > 0
  if (!resources.some((part) => has(part, 'requests') || has(part, 'limits'))) return 'BestEffort'
  const guaranteed = resources.every((part) => {
    const limits = objectAt(part, 'limits') ?? {}
    const requests = objectAt(part, 'requests') ?? limits
    return ['cpu', 'memory'].every((key) => {
      const limit = ownValue(limits, key)
      return limit !== undefined && (ownValue(requests, key) ?? limit) === limit
    })
  })
  return guaranteed ? 'Guaranteed' : 'Burstable'
}
