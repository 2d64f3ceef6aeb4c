import type { ApiObject } from '../object.ts'
import {
  checkConfigMap,
  checkEvent,
  checkPod,
  checkSecret,
  checkService,
  checkWebhooks,
  eventFields,
  namespaceFields,
  nodeFields,
  podFields,
  prepareNamespace,
  preparePod,
  prepareSecret,
  prepareService,
  prepareWebhooks,
  secretFields,
} from './core.ts'
import type { Kind } from './kind.ts'
import {
  checkCronJob,
  checkDaemonSet,
  checkDeployment,
  checkJob,
  checkReplicaSet,
  checkStatefulSet,
  prepareCronJob,
  prepareDaemonSet,
  prepareDeployment,
  prepareJob,
  prepareReplicaSet,
  prepareStatefulSet,
} from './workloads.ts'

type Shape = Partial<Kind> & {
  readonly group: string
  readonly plural: string
  readonly kind: string
}

const same = (object: ApiObject): ApiObject => object
const nothing = (): readonly [] => []

function builtin(shape: Shape): Kind {
  const version = shape.version ?? 'v1'
  return {
    version,
    versions: [version],
    singular: shape.kind.toLowerCase(),
    listKind: `${shape.kind}List`,
    shortNames: [],
    categories: [],
    namespaced: true,
    nameRule: 'subdomain',
    hasGeneration: false,
    hasStatus: false,
    scale: undefined,
    subresources: [],
    statusOnCreate: false,
    prepare: same,
    check: nothing,
    fields: () => ({}),
    custom: () => undefined,
    isCustom: false,
    ...shape,
  }
}

const scale = {
  specReplicas: ['spec', 'replicas'],
  statusReplicas: ['status', 'replicas'],
  labelSelector: ['spec', 'selector'],
}
const all = ['all']

const core: readonly Shape[] = [
  {
    group: '',
    plural: 'namespaces',
    kind: 'Namespace',
    namespaced: false,
    shortNames: ['ns'],
    nameRule: 'label',
    hasStatus: true,
    subresources: ['finalize'],
    prepare: prepareNamespace,
    fields: namespaceFields,
  },
  {
    group: '',
    plural: 'pods',
    kind: 'Pod',
    shortNames: ['po'],
    categories: all,
    hasStatus: true,
    subresources: ['binding', 'eviction'],
    prepare: preparePod,
    check: checkPod,
    fields: podFields,
  },
  {
    group: '',
    plural: 'nodes',
    kind: 'Node',
    namespaced: false,
    shortNames: ['no'],
    hasStatus: true,
    statusOnCreate: true,
    fields: nodeFields,
  },
  { group: '', plural: 'events', kind: 'Event', shortNames: ['ev'], check: checkEvent, fields: eventFields },
  {
    group: '',
    plural: 'services',
    kind: 'Service',
    shortNames: ['svc'],
    categories: all,
    nameRule: 'label1035',
    hasStatus: true,
    prepare: prepareService,
    check: checkService,
  },
  { group: '', plural: 'endpoints', kind: 'Endpoints', singular: 'endpoints', shortNames: ['ep'] },
  { group: '', plural: 'configmaps', kind: 'ConfigMap', shortNames: ['cm'], check: checkConfigMap },
  {
    group: '',
    plural: 'secrets',
    kind: 'Secret',
    prepare: prepareSecret,
    check: checkSecret,
    fields: secretFields,
  },
  {
    group: '',
    plural: 'serviceaccounts',
    kind: 'ServiceAccount',
    shortNames: ['sa'],
    subresources: ['token'],
  },
  {
    group: '',
    plural: 'persistentvolumeclaims',
    kind: 'PersistentVolumeClaim',
    shortNames: ['pvc'],
    hasStatus: true,
  },
  {
    group: '',
    plural: 'persistentvolumes',
    kind: 'PersistentVolume',
    namespaced: false,
    shortNames: ['pv'],
    hasStatus: true,
  },
]

const workloads: readonly Shape[] = [
  {
    group: 'apps',
    plural: 'deployments',
    kind: 'Deployment',
    shortNames: ['deploy'],
    categories: all,
    hasGeneration: true,
    hasStatus: true,
    scale,
    prepare: prepareDeployment,
    check: checkDeployment,
  },
  {
    group: 'apps',
    plural: 'replicasets',
    kind: 'ReplicaSet',
    shortNames: ['rs'],
    categories: all,
    hasGeneration: true,
    hasStatus: true,
    scale,
    prepare: prepareReplicaSet,
    check: checkReplicaSet,
    fields: (object) => ({ 'status.replicas': replicasOf(object) }),
  },
  {
    group: 'apps',
    plural: 'statefulsets',
    kind: 'StatefulSet',
    shortNames: ['sts'],
    categories: all,
    hasGeneration: true,
    hasStatus: true,
    scale,
    prepare: prepareStatefulSet,
    check: checkStatefulSet,
  },
  {
    group: 'apps',
    plural: 'daemonsets',
    kind: 'DaemonSet',
    shortNames: ['ds'],
    categories: all,
    hasGeneration: true,
    hasStatus: true,
    prepare: prepareDaemonSet,
    check: checkDaemonSet,
  },
  { group: 'apps', plural: 'controllerrevisions', kind: 'ControllerRevision' },
  {
    group: 'batch',
    plural: 'jobs',
    kind: 'Job',
    categories: all,
    hasGeneration: true,
    hasStatus: true,
    prepare: prepareJob,
    check: checkJob,
  },
  {
    group: 'batch',
    plural: 'cronjobs',
    kind: 'CronJob',
    shortNames: ['cj'],
    categories: all,
    hasGeneration: true,
    hasStatus: true,
    prepare: prepareCronJob,
    check: checkCronJob,
  },
]

function replicasOf(object: ApiObject): string {
  const status = object['status']
  const value = typeof status === 'object' && status !== null && 'replicas' in status ? status.replicas : 0
  return String(value)
}

const rbac = 'rbac.authorization.k8s.io'
const admission = { group: 'admissionregistration.k8s.io', namespaced: false, hasGeneration: true }

const others: readonly Shape[] = [
  { group: 'coordination.k8s.io', plural: 'leases', kind: 'Lease' },
  { group: 'discovery.k8s.io', plural: 'endpointslices', kind: 'EndpointSlice' },
  {
    group: 'policy',
    plural: 'poddisruptionbudgets',
    kind: 'PodDisruptionBudget',
    shortNames: ['pdb'],
    hasGeneration: true,
    hasStatus: true,
  },
  {
    group: 'networking.k8s.io',
    plural: 'networkpolicies',
    kind: 'NetworkPolicy',
    shortNames: ['netpol'],
    hasGeneration: true,
  },
  { group: 'scheduling.k8s.io', plural: 'priorityclasses', kind: 'PriorityClass', namespaced: false },
  { group: rbac, plural: 'clusterroles', kind: 'ClusterRole', namespaced: false, nameRule: 'path' },
  {
    group: rbac,
    plural: 'clusterrolebindings',
    kind: 'ClusterRoleBinding',
    namespaced: false,
    nameRule: 'path',
  },
  { group: rbac, plural: 'roles', kind: 'Role', nameRule: 'path' },
  { group: rbac, plural: 'rolebindings', kind: 'RoleBinding', nameRule: 'path' },
  {
    ...admission,
    plural: 'mutatingwebhookconfigurations',
    kind: 'MutatingWebhookConfiguration',
    prepare: prepareWebhooks,
    check: checkWebhooks,
  },
  {
    ...admission,
    plural: 'validatingwebhookconfigurations',
    kind: 'ValidatingWebhookConfiguration',
    prepare: prepareWebhooks,
    check: checkWebhooks,
  },
  {
    group: 'apiextensions.k8s.io',
    plural: 'customresourcedefinitions',
    kind: 'CustomResourceDefinition',
    namespaced: false,
    shortNames: ['crd', 'crds'],
    categories: ['api-extensions'],
    hasGeneration: true,
    hasStatus: true,
  },
]

/** The kinds that exist without any CustomResourceDefinition. */
export const builtinKinds: readonly Kind[] = [...core, ...workloads, ...others].map(builtin)
