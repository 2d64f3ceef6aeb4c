import { createHash } from 'node:crypto'
import type { ApiObject } from '../object.ts'
import { type FieldFailure, forbidden, invalid, notSupported, requiredField } from '../schema/failure.ts'
import {
  isObject,
  type JsonObject,
  jsonEqual,
  listAt,
  objectAt,
  ownValue,
  stringAt,
  withKey,
} from '../schema/record.ts'
import { edit, editEach, editObject, fill, valueAt } from './edit.ts'
import { checkPodSpec, fillPodOnly, fillPodSpec, qosClass } from './pod-spec.ts'

type Failures = readonly FieldFailure[]

export function preparePod(object: ApiObject, old: ApiObject | undefined): ApiObject {
  const spec = fillPodOnly(fillPodSpec(objectAt(object, 'spec') ?? {}))
  if (old !== undefined) return { ...object, spec }
  return { ...object, spec, status: { phase: 'Pending', qosClass: qosClass(spec) } }
}

export function checkPod(object: ApiObject, old: ApiObject | undefined): Failures {
  const spec = objectAt(object, 'spec') ?? {}
  const failures = checkPodSpec(spec, 'spec')
  if (old === undefined) return failures
  if (!jsonEqual(fixedPart(spec), fixedPart(objectAt(old, 'spec') ?? {}))) {
    const detail =
      'pod updates may not change fields other than `spec.containers[*].image`, `spec.initContainers[*].image`, ' +
      '`spec.activeDeadlineSeconds`, `spec.tolerations` (only additions to existing tolerations), ' +
      '`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)'
    failures.push(forbidden('spec', detail))
  }
  return failures
}

function fixedPart(spec: JsonObject): JsonObject {
  const withoutImage = (container: JsonObject) => withKey(container, 'image', undefined)
  let rest = editEach(editEach(spec, 'containers', withoutImage), 'initContainers', withoutImage)
  for (const key of ['tolerations', 'activeDeadlineSeconds', 'schedulingGates', 'ephemeralContainers'])
    rest = withKey(rest, key, undefined)
  return rest
}

export function podFields(object: ApiObject): Record<string, string> {
  const text = (...path: string[]) => String(valueAt(object, path) ?? '')
  return {
    'spec.nodeName': text('spec', 'nodeName'),
    'spec.restartPolicy': text('spec', 'restartPolicy'),
    'spec.schedulerName': text('spec', 'schedulerName'),
    'spec.serviceAccountName': text('spec', 'serviceAccountName'),
    'spec.hostNetwork': String(valueAt(object, ['spec', 'hostNetwork']) === true),
    'status.phase': text('status', 'phase'),
    'status.podIP': text('status', 'podIP'),
    'status.nominatedNodeName': text('status', 'nominatedNodeName'),
  }
}

export function eventFields(object: ApiObject): Record<string, string> {
  const involved = (key: string) => String(valueAt(object, ['involvedObject', key]) ?? '')
  const names = ['kind', 'namespace', 'name', 'uid', 'apiVersion', 'resourceVersion', 'fieldPath']
  return {
    ...Object.fromEntries(names.map((key) => [`involvedObject.${key}`, involved(key)])),
    reason: stringAt(object, 'reason') ?? '',
    reportingComponent: stringAt(object, 'reportingComponent') ?? '',
    source: stringAt(objectAt(object, 'source'), 'component') ?? '',
    type: stringAt(object, 'type') ?? '',
  }
}

export function checkEvent(object: ApiObject): Failures {
  const involved = objectAt(object, 'involvedObject')
  if (involved === undefined) return [requiredField('involvedObject')]
  const namespace = stringAt(involved, 'namespace') ?? ''
  const own = object.metadata.namespace ?? ''
  if (namespace === own || (namespace === '' && own === 'default')) return []
  return [invalid('involvedObject.namespace', namespace, 'does not match event.namespace')]
}

export function prepareNamespace(object: ApiObject, old: ApiObject | undefined): ApiObject {
  const { metadata } = object
  const labels = { ...metadata.labels, 'kubernetes.io/metadata.name': metadata.name ?? '' }
  const labelled = { ...object, metadata: { ...metadata, labels } }
  // Only the finalize subresource changes the finalizers of the spec.
  if (old !== undefined) return { ...labelled, spec: objectAt(old, 'spec') ?? {} }
  return { ...labelled, spec: { finalizers: ['kubernetes'] }, status: { phase: 'Active' } }
}

export const namespaceFields = (object: ApiObject): Record<string, string> => ({
  'status.phase': stringAt(objectAt(object, 'status'), 'phase') ?? '',
})

export const nodeFields = (object: ApiObject): Record<string, string> => ({
  'spec.unschedulable': String(valueAt(object, ['spec', 'unschedulable']) === true),
})

const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

export function prepareSecret(object: ApiObject): ApiObject {
  const plain = objectAt(object, 'stringData') ?? {}
  const encoded = Object.entries(plain).map(([key, value]) => [
    key,
    Buffer.from(String(value)).toString('base64'),
  ])
  return editObject(object, (whole) => {
    const rest = fill(withKey(whole, 'stringData', undefined), { type: 'Opaque' })
    if (encoded.length === 0) return rest
    return edit(rest, 'data', (data) => ({ ...data, ...Object.fromEntries(encoded) }))
  })
}

export function checkSecret(object: ApiObject, old: ApiObject | undefined): Failures {
  const data = ownValue(object, 'data') ?? {}
  if (!isObject(data)) return [invalid('data', data, 'must be an object')]
  const wrong = Object.entries(data).filter(
    ([, value]) => typeof value !== 'string' || !base64.test(value.replaceAll(/\s/g, '')),
  )
  const failures = wrong.map(([key, value]) => invalid(`data[${key}]`, value, 'must be base64 text'))
  if (old !== undefined && ownValue(object, 'type') !== ownValue(old, 'type'))
    failures.push(invalid('type', ownValue(object, 'type'), 'field is immutable'))
  return [...failures, ...checkImmutable(object, old)]
}

export const secretFields = (object: ApiObject): Record<string, string> => ({
  type: stringAt(object, 'type') ?? '',
})

export function checkConfigMap(object: ApiObject, old: ApiObject | undefined): Failures {
  const data = ownValue(object, 'data') ?? {}
  if (!isObject(data)) return [invalid('data', data, 'must be an object')]
  const wrong = Object.entries(data).filter(([, value]) => typeof value !== 'string')
  const failures = wrong.map(([key, value]) => invalid(`data[${key}]`, value, 'must be a string'))
  return [...failures, ...checkImmutable(object, old)]
}

function checkImmutable(object: ApiObject, old: ApiObject | undefined): Failures {
  if (old === undefined || ownValue(old, 'immutable') !== true) return []
  const same = ['data', 'binaryData', 'immutable'].every((key) =>
    jsonEqual(ownValue(object, key) ?? null, ownValue(old, key) ?? null),
  )
  return same ? [] : [forbidden('data', 'field is immutable when `immutable` is set')]
}

const serviceTypes = ['ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalName']

export function prepareService(object: ApiObject, old: ApiObject | undefined): ApiObject {
  const given = fill(objectAt(object, 'spec') ?? {}, {
    type: 'ClusterIP',
    sessionAffinity: 'None',
    internalTrafficPolicy: 'Cluster',
  })
  const ports = editEach(given, 'ports', (port) =>
    fill(port, { protocol: 'TCP', targetPort: ownValue(port, 'port') ?? 0 }),
  )
  if (stringAt(ports, 'type') === 'ExternalName') return { ...object, spec: ports }
  const before = stringAt(objectAt(old, 'spec'), 'clusterIP')
  const clusterIp = before ?? virtualAddress(object.metadata.uid ?? '')
  const spec = fill(ports, { clusterIP: clusterIp })
  const families = { clusterIPs: [stringAt(spec, 'clusterIP') ?? ''], ipFamilies: ['IPv4'] }
  return { ...object, spec: fill(spec, { ...families, ipFamilyPolicy: 'SingleStack' }) }
}

// Nothing answers on a virtual address here (there is no kube-proxy): it only has to look like one.
function virtualAddress(uid: string): string {
  const [high = 0, low = 0] = createHash('sha256').update(uid).digest()
  return `10.96.${Math.max(1, high)}.${Math.max(1, low)}`
}

export function checkService(object: ApiObject): Failures {
  const spec = objectAt(object, 'spec') ?? {}
  const failures: FieldFailure[] = []
  const type = ownValue(spec, 'type')
  if (!serviceTypes.includes(String(type))) failures.push(notSupported('spec.type', type, serviceTypes))
  if (type !== 'ExternalName' && stringAt(spec, 'clusterIP') !== 'None' && listAt(spec, 'ports').length === 0)
    failures.push(requiredField('spec.ports'))
  for (const [index, port] of listAt(spec, 'ports').entries()) {
    const number = isObject(port) ? ownValue(port, 'port') : port
    if (!Number.isInteger(number) || Number(number) < 1 || Number(number) > 65_535)
      failures.push(invalid(`spec.ports[${index}].port`, number, 'must be between 1 and 65535, inclusive'))
  }
  return failures
}

export function prepareWebhooks(object: ApiObject): ApiObject {
  const defaults = {
    failurePolicy: 'Fail',
    matchPolicy: 'Equivalent',
    timeoutSeconds: 10,
    namespaceSelector: {},
    objectSelector: {},
    ...(object.kind === 'MutatingWebhookConfiguration' ? { reinvocationPolicy: 'Never' } : {}),
  }
  return editObject(object, (whole) =>
    editEach(whole, 'webhooks', (webhook) =>
      editEach(fill(webhook, defaults), 'rules', (rule) => fill(rule, { scope: '*' })),
    ),
  )
}

export function checkWebhooks(object: ApiObject): Failures {
  const failures: FieldFailure[] = []
  for (const [index, webhook] of listAt(object, 'webhooks').entries()) {
    const field = `webhooks[${index}]`
    if (stringAt(webhook, 'name') === undefined) failures.push(requiredField(`${field}.name`))
    if (objectAt(webhook, 'clientConfig') === undefined) failures.push(requiredField(`${field}.clientConfig`))
    if (listAt(webhook, 'admissionReviewVersions').length === 0)
      failures.push(requiredField(`${field}.admissionReviewVersions`))
    const effects = isObject(webhook) ? ownValue(webhook, 'sideEffects') : undefined
    if (effects !== 'None' && effects !== 'NoneOnDryRun')
      failures.push(notSupported(`${field}.sideEffects`, effects ?? '', ['None', 'NoneOnDryRun']))
  }
  return failures
}
