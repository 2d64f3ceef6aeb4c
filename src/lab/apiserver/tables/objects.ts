import { valueAt } from '../kinds/edit.ts'
import type { ApiObject } from '../object.ts'
import { isObject, listAt, objectAt, ownValue, stringAt } from '../schema/record.ts'
import { age, ageColumn, type Column, nameColumn, textColumn } from './column.ts'
import { selectorText } from './workloads.ts'

const text = (object: ApiObject, path: readonly string[], fallback = '<none>'): string => {
  const value = valueAt(object, path)
  return value === undefined || value === null || value === '' ? fallback : String(value)
}
const size = (object: ApiObject, key: string): number => Object.keys(objectAt(object, key) ?? {}).length

const nodes: readonly Column[] = [
  nameColumn,
  textColumn('Status', (node) => {
    const ready = listAt(objectAt(node, 'status'), 'conditions').find(
      (item) => stringAt(item, 'type') === 'Ready',
    )
    const status = stringAt(ready, 'status')
    const word = status === 'True' ? 'Ready' : status === undefined ? 'Unknown' : 'NotReady'
    return valueAt(node, ['spec', 'unschedulable']) === true ? `${word},SchedulingDisabled` : word
  }),
  textColumn('Roles', (node) => {
    const prefix = 'node-role.kubernetes.io/'
    const roles = Object.keys(node.metadata.labels ?? {})
      .filter((key) => key.startsWith(prefix))
      .map((key) => key.slice(prefix.length))
    return roles.length === 0 ? '<none>' : roles.sort().join(',')
  }),
  ageColumn,
  textColumn('Version', (node) => text(node, ['status', 'nodeInfo', 'kubeletVersion'], '')),
  textColumn('Internal-IP', (node) => nodeAddress(node, 'InternalIP'), 1),
  textColumn('External-IP', (node) => nodeAddress(node, 'ExternalIP'), 1),
  textColumn('OS-Image', (node) => text(node, ['status', 'nodeInfo', 'osImage'], '<unknown>'), 1),
  textColumn('Kernel-Version', (node) => text(node, ['status', 'nodeInfo', 'kernelVersion'], '<unknown>'), 1),
  textColumn(
    'Container-Runtime',
    (node) => text(node, ['status', 'nodeInfo', 'containerRuntimeVersion'], '<unknown>'),
    1,
  ),
]

function nodeAddress(node: ApiObject, type: string): string {
  const found = listAt(objectAt(node, 'status'), 'addresses').find((item) => stringAt(item, 'type') === type)
  return stringAt(found, 'address') ?? '<none>'
}

const events: readonly Column[] = [
  textColumn('Last Seen', (event, nowMs) => {
    const last = text(event, ['series', 'lastObservedTime'], '')
    const seen = last === '' ? text(event, ['lastTimestamp'], '') : last
    return age(seen === '' ? text(event, ['eventTime'], event.metadata.creationTimestamp ?? '') : seen, nowMs)
  }),
  textColumn('Type', (event) => text(event, ['type'], '')),
  textColumn('Reason', (event) => text(event, ['reason'], '')),
  textColumn(
    'Object',
    (event) =>
      `${text(event, ['involvedObject', 'kind'], '').toLowerCase()}/${text(event, ['involvedObject', 'name'], '')}`,
  ),
  textColumn('Subobject', (event) => text(event, ['involvedObject', 'fieldPath'], ''), 1),
  textColumn(
    'Source',
    (event) => {
      const component = text(event, ['source', 'component'], text(event, ['reportingComponent'], ''))
      const host = text(event, ['source', 'host'], '')
      return host === '' ? component : `${component}, ${host}`
    },
    1,
  ),
  textColumn('Message', (event) => text(event, ['message'], '').trim()),
  textColumn('First Seen', (event, nowMs) => age(text(event, ['firstTimestamp'], ''), nowMs), 1),
  textColumn('Count', (event) => text(event, ['count'], '1'), 1),
  { ...nameColumn, priority: 1 },
]

const services: readonly Column[] = [
  nameColumn,
  textColumn('Type', (service) => text(service, ['spec', 'type'])),
  textColumn('Cluster-IP', (service) => text(service, ['spec', 'clusterIP'])),
  textColumn('External-IP', (service) => {
    const list = listAt(objectAt(service, 'spec'), 'externalIPs').join(',')
    return list === '' ? text(service, ['spec', 'externalName']) : list
  }),
  textColumn('Port(s)', (service) => {
    const ports = listAt(objectAt(service, 'spec'), 'ports').filter(isObject)
    const shown = ports.map((port) => {
      const nodePort = ownValue(port, 'nodePort')
      const number = `${String(ownValue(port, 'port'))}${nodePort === undefined ? '' : `:${String(nodePort)}`}`
      return `${number}/${stringAt(port, 'protocol') ?? 'TCP'}`
    })
    return shown.length === 0 ? '<none>' : shown.join(',')
  }),
  ageColumn,
  textColumn(
    'Selector',
    (service) => selectorText({ matchLabels: valueAt(service, ['spec', 'selector']) ?? {} }),
    1,
  ),
]

const endpoints: readonly Column[] = [
  nameColumn,
  textColumn('Endpoints', (object) => {
    const all = listAt(object, 'subsets').flatMap((subset) =>
      listAt(subset, 'addresses').flatMap((address) =>
        listAt(subset, 'ports').map(
          (port) =>
            `${stringAt(address, 'ip') ?? ''}:${isObject(port) ? String(ownValue(port, 'port')) : ''}`,
        ),
      ),
    )
    return all.length === 0 ? '<none>' : all.join(',')
  }),
  ageColumn,
]

const webhookCount: Column = {
  name: 'Webhooks',
  type: 'integer',
  cell: (object) => listAt(object, 'webhooks').length,
}
const integer = (name: string, cell: (object: ApiObject) => number): Column => ({
  name,
  type: 'integer',
  cell,
})

export const objectColumns: Readonly<Record<string, readonly Column[]>> = {
  '/nodes': nodes,
  '/events': events,
  '/services': services,
  '/endpoints': endpoints,
  '/namespaces': [nameColumn, textColumn('Status', (object) => text(object, ['status', 'phase'])), ageColumn],
  '/configmaps': [
    nameColumn,
    integer('Data', (object) => size(object, 'data') + size(object, 'binaryData')),
    ageColumn,
  ],
  '/secrets': [
    nameColumn,
    textColumn('Type', (object) => text(object, ['type'])),
    integer('Data', (object) => size(object, 'data')),
    ageColumn,
  ],
  '/serviceaccounts': [
    nameColumn,
    integer('Secrets', (object) => listAt(object, 'secrets').length),
    ageColumn,
  ],
  'coordination.k8s.io/leases': [
    nameColumn,
    textColumn('Holder', (object) => text(object, ['spec', 'holderIdentity'], '')),
    ageColumn,
  ],
  'policy/poddisruptionbudgets': [
    nameColumn,
    textColumn('Min Available', (object) => text(object, ['spec', 'minAvailable'], 'N/A')),
    textColumn('Max Unavailable', (object) => text(object, ['spec', 'maxUnavailable'], 'N/A')),
    integer('Allowed Disruptions', (object) => Number(text(object, ['status', 'disruptionsAllowed'], '0'))),
    ageColumn,
  ],
  'apiextensions.k8s.io/customresourcedefinitions': [
    nameColumn,
    {
      name: 'Created At',
      type: 'date',
      cell: ({ metadata }) => metadata.creationTimestamp ?? '',
    },
  ],
  'admissionregistration.k8s.io/mutatingwebhookconfigurations': [nameColumn, webhookCount, ageColumn],
  'admissionregistration.k8s.io/validatingwebhookconfigurations': [nameColumn, webhookCount, ageColumn],
  'rbac.authorization.k8s.io/clusterroles': [
    nameColumn,
    { name: 'Created At', type: 'date', cell: ({ metadata }) => metadata.creationTimestamp ?? '' },
  ],
}
