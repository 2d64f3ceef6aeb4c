import type { Resource } from './meta.ts'
import { spiderGroup, spiderVersion } from './spider.ts'

const spider = (plural: string, kind: string, namespaced: boolean): Resource => ({
  group: spiderGroup,
  version: spiderVersion,
  plural,
  kind,
  namespaced,
})
const core = (plural: string, kind: string, namespaced = true): Resource => ({
  group: '',
  version: 'v1',
  plural,
  kind,
  namespaced,
})
const named = (group: string, plural: string, kind: string): Resource => ({
  group,
  version: 'v1',
  plural,
  kind,
  namespaced: true,
})

/** The kinds that we use. */
export type ResourceName =
  | 'ipPool'
  | 'subnet'
  | 'reservedIp'
  | 'endpoint'
  | 'multusConfig'
  | 'coordinator'
  | 'ipBlock'
  | 'ipClaim'
  | 'networkAttachmentDefinition'
  | 'ipamClaim'
  | 'pod'
  | 'node'
  | 'namespace'
  | 'event'
  | 'secret'
  | 'configMap'
  | 'serviceAccount'
  | 'deployment'
  | 'replicaSet'
  | 'statefulSet'
  | 'daemonSet'
  | 'job'
  | 'cronJob'
  | 'lease'
  | 'virtualMachine'
  | 'virtualMachineInstance'
  | 'virtualMachineInstanceMigration'
  | 'customResourceDefinition'

/** Where each kind that we use lives at the API server. */
export const resources: Readonly<Record<ResourceName, Resource>> = {
  ipPool: spider('spiderippools', 'SpiderIPPool', false),
  subnet: spider('spidersubnets', 'SpiderSubnet', false),
  reservedIp: spider('spiderreservedips', 'SpiderReservedIP', false),
  endpoint: spider('spiderendpoints', 'SpiderEndpoint', true),
  multusConfig: spider('spidermultusconfigs', 'SpiderMultusConfig', true),
  coordinator: spider('spidercoordinators', 'SpiderCoordinator', false),
  ipBlock: spider('spideripblocks', 'SpiderIPBlock', false),
  ipClaim: spider('spideripclaims', 'SpiderIPClaim', true),
  networkAttachmentDefinition: named(
    'k8s.cni.cncf.io',
    'network-attachment-definitions',
    'NetworkAttachmentDefinition',
  ),
  ipamClaim: {
    group: 'k8s.cni.cncf.io',
    version: 'v1alpha1',
    plural: 'ipamclaims',
    kind: 'IPAMClaim',
    namespaced: true,
  },
  pod: core('pods', 'Pod'),
  node: core('nodes', 'Node', false),
  namespace: core('namespaces', 'Namespace', false),
  event: core('events', 'Event'),
  secret: core('secrets', 'Secret'),
  configMap: core('configmaps', 'ConfigMap'),
  serviceAccount: core('serviceaccounts', 'ServiceAccount'),
  deployment: named('apps', 'deployments', 'Deployment'),
  replicaSet: named('apps', 'replicasets', 'ReplicaSet'),
  statefulSet: named('apps', 'statefulsets', 'StatefulSet'),
  daemonSet: named('apps', 'daemonsets', 'DaemonSet'),
  job: named('batch', 'jobs', 'Job'),
  cronJob: named('batch', 'cronjobs', 'CronJob'),
  lease: named('coordination.k8s.io', 'leases', 'Lease'),
  virtualMachine: named('kubevirt.io', 'virtualmachines', 'VirtualMachine'),
  virtualMachineInstance: named('kubevirt.io', 'virtualmachineinstances', 'VirtualMachineInstance'),
  virtualMachineInstanceMigration: named(
    'kubevirt.io',
    'virtualmachineinstancemigrations',
    'VirtualMachineInstanceMigration',
  ),
  customResourceDefinition: {
    group: 'apiextensions.k8s.io',
    version: 'v1',
    plural: 'customresourcedefinitions',
    kind: 'CustomResourceDefinition',
    namespaced: false,
  },
}
