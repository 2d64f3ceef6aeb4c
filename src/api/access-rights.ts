import type { Resource } from './meta.ts'
import { resources } from './resources.ts'
import { trustNames } from './trust-names.ts'

/** One rule of a Role or ClusterRole. */
export interface AccessRule {
  readonly apiGroups: readonly string[]
  readonly resources: readonly string[]
  readonly verbs: readonly string[]
  readonly resourceNames?: readonly string[]
}

/** What one ServiceAccount may do. */
export interface AccessRights {
  /** In the whole cluster. */
  readonly cluster: readonly AccessRule[]
  /** In the namespace of the product alone. */
  readonly namespace: readonly AccessRule[]
}

/**
 * What runs with a ServiceAccount of its own: the daemons, and what an installation runs once. `uninstall-data` is the
 * uninstaller that was told to remove the objects of users too.
 */
export type AccountName = 'controller' | 'agent' | 'init' | 'uninstall' | 'uninstall-data'

type Verb = 'get' | 'list' | 'watch' | 'create' | 'patch' | 'delete'

interface RuleOptions {
  readonly names?: readonly string[]
  readonly subresource?: string
}

function may(verbs: readonly Verb[], resource: Resource, options: RuleOptions = {}): AccessRule {
  const { names, subresource } = options
  return {
    apiGroups: [resource.group],
    resources: [subresource === undefined ? resource.plural : `${resource.plural}/${subresource}`],
    verbs,
    ...(names === undefined ? {} : { resourceNames: names }),
  }
}

const admission = (plural: string, kind: string): Resource => {
  return { group: 'admissionregistration.k8s.io', version: 'v1', plural, kind, namespaced: false }
}
const tokenReview: Resource = {
  group: 'authentication.k8s.io',
  version: 'v1',
  plural: 'tokenreviews',
  kind: 'TokenReview',
  namespaced: false,
}
const mutatingWebhooks = admission('mutatingwebhookconfigurations', 'MutatingWebhookConfiguration')
const validatingWebhooks = admission('validatingwebhookconfigurations', 'ValidatingWebhookConfiguration')
/** Both kinds of webhook configurations. */
export const webhookConfigurationResources: readonly Resource[] = [mutatingWebhooks, validatingWebhooks]

/** Name of the Lease that the leader holds. */
export const leaderLeaseName = 'spiderpool-controller-leases'
/** Name of both webhook configurations. */
export const webhookConfigurationName = 'spiderpool-controller'

const read: readonly Verb[] = ['get', 'list', 'watch']
const watched: readonly Verb[] = ['list', 'watch']

const controller: AccessRights = {
  cluster: [
    may(read, resources.pod),
    may(watched, resources.node),
    may(watched, resources.namespace),
    may(['create', 'patch'], resources.event),
    // What a pod belongs to.
    may(['get'], resources.replicaSet),
    may(['get'], resources.statefulSet),
    // Whether a pod is of the workload that a claim is for.
    may(['get'], resources.deployment),
    may(['get'], resources.daemonSet),
    may(['get'], resources.job),
    may(['get'], resources.virtualMachine),
    may(['get'], resources.virtualMachineInstance),
    may(['get'], resources.virtualMachineInstanceMigration),
    may([...read, 'patch'], resources.ipPool),
    may(['patch'], resources.ipPool, { subresource: 'status' }),
    // To take away the finalizer that the reference project gave them.
    may([...watched, 'patch'], resources.subnet),
    may([...watched, 'patch'], resources.coordinator),
    may(watched, resources.reservedIp),
    may([...read, 'patch'], resources.ipClaim),
    may(['patch'], resources.ipClaim, { subresource: 'status' }),
    may(read, resources.ipamClaim),
    may(['patch'], resources.ipamClaim, { subresource: 'status' }),
    may(watched, resources.multusConfig),
    may(['get', 'list', 'create', 'patch', 'delete'], resources.endpoint),
    may([...read, 'create', 'patch'], resources.ipBlock),
    may([...read, 'create', 'patch'], resources.networkAttachmentDefinition),
    may(['create'], tokenReview),
    // The installation makes the two objects; whoever may create such objects could read every write of the cluster.
    may(['get', 'patch'], mutatingWebhooks, { names: [webhookConfigurationName] }),
    may(['get', 'patch'], validatingWebhooks, { names: [webhookConfigurationName] }),
  ],
  namespace: [
    // A name that is not there yet cannot be named in a rule.
    may(['create'], resources.lease),
    may(['get', 'patch'], resources.lease, { names: [leaderLeaseName] }),
    may(['create'], resources.secret),
    may(['get', 'patch'], resources.secret, { names: [trustNames.certificates] }),
    may(['create'], resources.configMap),
    may(['get', 'patch'], resources.configMap, { names: [trustNames.authorities] }),
  ],
}

const agent: AccessRights = {
  cluster: [
    may(['get', 'list'], resources.pod),
    // The network status is an annotation; written with the status it cannot change what a pod runs.
    may(['patch'], resources.pod, { subresource: 'status' }),
    may(['create'], resources.event),
    may(['get'], resources.networkAttachmentDefinition),
  ],
  namespace: [may(['get'], resources.configMap, { names: [trustNames.authorities] })],
}

const init: AccessRights = {
  cluster: [
    may(['create'], resources.coordinator),
    may(['create'], resources.ipPool),
    may(['create'], resources.multusConfig),
  ],
  namespace: [],
}

const ourKinds = [
  resources.endpoint,
  resources.ipClaim,
  resources.ipPool,
  resources.subnet,
  resources.reservedIp,
  resources.multusConfig,
  resources.coordinator,
  resources.ipBlock,
]
const stopController: readonly AccessRule[] = [
  may(['patch'], resources.deployment, { names: [accountOf('controller')], subresource: 'scale' }),
  may(['list'], resources.pod),
]
// That it is gone tells the agents that they are not to come back.
const tellAgents = may(['delete'], resources.configMap, { names: [trustNames.authorities] })
const uninstallWith = (verbs: readonly Verb[], more: readonly AccessRule[]): AccessRights => ({
  cluster: [
    ...webhookConfigurationResources.map((resource) =>
      may(['delete'], resource, { names: [webhookConfigurationName] }),
    ),
    ...ourKinds.map((resource) => may(verbs, resource)),
    ...more,
  ],
  namespace: [...stopController, tellAgents],
})
const definitions = ourKinds.map(({ plural, group }) => `${plural}.${group}`)

/**
 * What each ServiceAccount of the product may do: the rights that are used, and no other. The chart's roles are made of this
 * list, the lab gives the same ones.
 */
export const accessRights: Readonly<Record<AccountName, AccessRights>> = {
  controller,
  agent,
  init,
  uninstall: uninstallWith(['list', 'patch'], []),
  'uninstall-data': uninstallWith(
    ['list', 'patch', 'delete'],
    [may(['delete'], resources.customResourceDefinition, { names: definitions })],
  ),
}

/** Name of the ServiceAccount, and of the roles and bindings, of a program. */
export function accountOf(name: AccountName): string {
  return name === 'uninstall-data' ? 'spiderpool-uninstall' : `spiderpool-${name}`
}
