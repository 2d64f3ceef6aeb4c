import {
  type AccessRule,
  type AccountName,
  accessRights,
  accountOf,
  type CrdManifest,
  crdManifests,
  type KubeObject,
  type Resource,
  resources,
  webhookConfigurationName,
} from '../../api/index.ts'
import { Backoff, type Logger, systemClock, systemRandom, toError } from '../../base/index.ts'
import type { KubeApi, ObjectRef } from '../../kube/index.ts'
import { ensureAgentPod, type NodeIdentity, registerNode } from '../node/register-node.ts'
import { defaultNetwork } from './program.ts'

const retryBackoff = { firstMs: 100, capMs: 2000 }

/** Repeats work until it succeeds or `budgetMs` is over: the API server, or a webhook, may be coming up still. */
export async function untilDone<T>(
  work: (signal: AbortSignal) => Promise<T>,
  budgetMs: number,
  logger: Logger,
  signal: AbortSignal,
): Promise<T> {
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(budgetMs)])
  const backoff = new Backoff(retryBackoff, systemRandom)
  for (;;) {
    try {
      return await work(deadline)
    } catch (error) {
      if (deadline.aborted) throw error
      logger.debug('not ready yet', { err: toError(error) })
      await systemClock.sleep(backoff.nextMs(), deadline).catch(() => Promise.reject(toError(error)))
    }
  }
}

/** Registers the product's kinds and waits until the API server serves them. */
export async function applyCrds(api: KubeApi, signal: AbortSignal): Promise<void> {
  for (const manifest of crdManifests()) await applyCrd(api, manifest, signal)
  for (const resource of [resources.ipPool, resources.multusConfig, resources.ipBlock, resources.endpoint]) {
    await api.list(resource, { limit: 1 }, signal)
  }
}

async function applyCrd(api: KubeApi, manifest: CrdManifest, signal: AbortSignal): Promise<void> {
  const resource = resources.customResourceDefinition
  const object = manifest as unknown as KubeObject // a manifest is an object of the API
  if (await createIfAway(api, resource, object, signal)) return
  const { spec } = manifest as unknown as { readonly spec: unknown }
  await api.patch(resource, { name: object.metadata.name }, { type: 'merge', body: { spec } }, signal)
}

const accounts: readonly AccountName[] = ['controller', 'agent']
const rbacGroup = 'rbac.authorization.k8s.io'

/** Namespaces, accounts, webhook configurations, Nodes and the pods that stand for agents. */
export async function createBaseObjects(
  api: KubeApi,
  nodes: readonly NodeIdentity[],
  systemNamespace: string,
  signal: AbortSignal,
): Promise<void> {
  for (const name of ['default', 'kube-system', 'kube-public', 'kube-node-lease', systemNamespace]) {
    await createIfAway(api, resources.namespace, objectOf('v1', 'Namespace', { name }), signal)
  }
  for (const name of accounts) {
    const metadata = { name: accountOf(name), namespace: systemNamespace }
    await createIfAway(api, resources.serviceAccount, objectOf('v1', 'ServiceAccount', metadata), signal)
  }
  // What an installation says of itself: commands read it.
  const config = objectOf('v1', 'ConfigMap', { name: 'spiderpool-conf', namespace: systemNamespace })
  const data = { clusterNetwork: defaultNetwork }
  await createIfAway(api, resources.configMap, { ...config, data } as KubeObject, signal)
  await createWebhookConfigurations(api, signal)
  for (const node of nodes) {
    await registerNode(api, node, signal)
    await ensureAgentPod(api, node, signal)
  }
}

/**
 * Gives both accounts the rights of an installation, no other. An API server without RBAC (404) asks nobody for rights.
 */
export async function createRights(api: KubeApi, namespace: string, signal: AbortSignal): Promise<void> {
  try {
    for (const name of accounts) await createRolesOf(api, name, namespace, signal)
  } catch (error) {
    if (!(error instanceof Error && 'status' in error && error.status === 404)) throw error
  }
}

async function createRolesOf(
  api: KubeApi,
  account: AccountName,
  namespace: string,
  signal: AbortSignal,
): Promise<void> {
  const name = accountOf(account)
  const { cluster, namespace: own } = accessRights[account]
  const everywhere = { kind: 'ClusterRole', metadata: { name }, rules: cluster } as const
  await bindRole(api, everywhere, namespace, signal)
  if (own.length === 0) return
  await bindRole(api, { kind: 'Role', metadata: { name, namespace }, rules: own }, namespace, signal)
}

async function bindRole(
  api: KubeApi,
  role: {
    readonly kind: 'ClusterRole' | 'Role'
    readonly metadata: ObjectRef
    readonly rules: readonly AccessRule[]
  },
  accountNamespace: string,
  signal: AbortSignal,
): Promise<void> {
  const { kind, metadata, rules } = role
  const { name } = metadata
  const at = (of: string): Resource => ({
    group: rbacGroup,
    version: 'v1',
    plural: `${of.toLowerCase()}s`,
    kind: of,
    namespaced: metadata.namespace !== undefined,
  })
  const wanted = { ...objectOf(`${rbacGroup}/v1`, kind, metadata), rules }
  if (!(await createIfAway(api, at(kind), wanted, signal)))
    await api.patch(at(kind), metadata, { type: 'merge', body: { rules } }, signal)
  const binding = {
    ...objectOf(`${rbacGroup}/v1`, `${kind}Binding`, metadata),
    roleRef: { apiGroup: rbacGroup, kind, name },
    subjects: [{ kind: 'ServiceAccount', name, namespace: accountNamespace }],
  }
  await createIfAway(api, at(`${kind}Binding`), binding, signal)
}

/** The two objects that the leader fills with what it serves, as the chart installs them. */
async function createWebhookConfigurations(api: KubeApi, signal: AbortSignal): Promise<void> {
  const group = 'admissionregistration.k8s.io'
  for (const kind of ['MutatingWebhookConfiguration', 'ValidatingWebhookConfiguration']) {
    const resource = { group, version: 'v1', plural: `${kind.toLowerCase()}s`, kind, namespaced: false }
    const object = objectOf(`${group}/v1`, kind, { name: webhookConfigurationName })
    await createIfAway(api, resource, object, signal)
  }
}

/** Networks that the documents name: one macvlan on the nodes' NIC, under each of their names. */
const macvlanConfigs = [
  { namespace: 'kube-system', name: 'macvlan-ens192' },
  { namespace: 'default', name: 'macvlan-vlan0-eth0' },
  { namespace: 'kube-system', name: 'macvlan-vlan0-eth1' },
  { namespace: 'kube-system', name: 'macvlan-vlan0' },
]

export async function createDefaultNetworks(api: KubeApi, signal: AbortSignal): Promise<void> {
  const spec = { cniType: 'macvlan', macvlan: { master: ['ens192'] }, enableCoordinator: false }
  for (const metadata of macvlanConfigs) {
    const object = { ...objectOf('spiderpool.spidernet.io/v2beta1', 'SpiderMultusConfig', metadata), spec }
    await createIfAway(api, resources.multusConfig, object, signal)
  }
}

function objectOf(
  apiVersion: string,
  kind: string,
  metadata: { readonly name: string; readonly namespace?: string },
): KubeObject {
  return { apiVersion, kind, metadata }
}

/** @returns false when it is there already */
async function createIfAway(
  api: KubeApi,
  resource: Resource,
  object: KubeObject,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    await api.create(resource, object, signal)
    return true
  } catch (error) {
    if (error instanceof Error && 'status' in error && error.status === 409) return false
    throw error
  }
}
