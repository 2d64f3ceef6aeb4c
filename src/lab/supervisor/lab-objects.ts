import { type CrdManifest, crdManifests, type KubeObject, type Resource, resources } from '../../api/index.ts'
import { Backoff, type Logger, systemClock, systemRandom, toError } from '../../base/index.ts'
import type { KubeApi } from '../../kube/index.ts'
import {
  agentServiceAccount,
  ensureAgentPod,
  type NodeIdentity,
  registerNode,
} from '../node/register-node.ts'

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

/** Namespaces, the agents' account, Nodes and the pods that stand for agents. */
export async function createBaseObjects(
  api: KubeApi,
  nodes: readonly NodeIdentity[],
  systemNamespace: string,
  signal: AbortSignal,
): Promise<void> {
  for (const name of ['default', 'kube-system', 'kube-public', 'kube-node-lease', systemNamespace]) {
    await createIfAway(api, resources.namespace, objectOf('v1', 'Namespace', { name }), signal)
  }
  const account = { name: agentServiceAccount, namespace: systemNamespace }
  await createIfAway(api, resources.serviceAccount, objectOf('v1', 'ServiceAccount', account), signal)
  for (const node of nodes) {
    await registerNode(api, node, signal)
    await ensureAgentPod(api, node, signal)
  }
}

const rbac = (plural: string, kind: string): Resource => {
  return { group: 'rbac.authorization.k8s.io', version: 'v1', plural, kind, namespaced: false }
}

/** What an agent may do with its token. An API server without RBAC (404) asks nobody for rights. */
export async function createAgentRights(
  api: KubeApi,
  systemNamespace: string,
  signal: AbortSignal,
): Promise<void> {
  try {
    await createRoleAndBinding(api, systemNamespace, signal)
  } catch (error) {
    if (!(error instanceof Error && 'status' in error && error.status === 404)) throw error
  }
}

async function createRoleAndBinding(
  api: KubeApi,
  systemNamespace: string,
  signal: AbortSignal,
): Promise<void> {
  const name = 'spiderpool-lab-agent'
  const apiVersion = 'rbac.authorization.k8s.io/v1'
  const rules = [
    { apiGroups: [''], resources: ['pods'], verbs: ['get', 'list', 'patch'] },
    { apiGroups: [''], resources: ['events'], verbs: ['create', 'patch'] },
    { apiGroups: ['k8s.cni.cncf.io'], resources: ['network-attachment-definitions'], verbs: ['get'] },
  ]
  const role = { ...objectOf(apiVersion, 'ClusterRole', { name }), rules }
  await createIfAway(api, rbac('clusterroles', 'ClusterRole'), role, signal)
  const binding = {
    ...objectOf(apiVersion, 'ClusterRoleBinding', { name }),
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name },
    subjects: [{ kind: 'ServiceAccount', name: agentServiceAccount, namespace: systemNamespace }],
  }
  await createIfAway(api, rbac('clusterrolebindings', 'ClusterRoleBinding'), binding, signal)
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
