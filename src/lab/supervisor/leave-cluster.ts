import {
  type KubeObject,
  type Pod,
  type Resource,
  resources,
  webhookConfigurationName,
} from '../../api/index.ts'
import { silentLogger, systemClock, toError } from '../../base/index.ts'
import { ApiError, type KubeApi, KubeClient, loadKubeconfig } from '../../kube/index.ts'
import { agentServiceAccount } from '../node/register-node.ts'
import type { LabState } from './lab-state.ts'

const drainBudgetMs = 20_000
const pollMs = 300
const cleanBudgetMs = 20_000
const maxNamed = 5

/**
 * Deletes the pods of the lab's nodes from a cluster's API server and waits a while until they are gone: while runtimes and
 * agents live, their addresses are given back.
 * @returns what could not be done, for a person
 */
export function drainCluster(state: LabState, signal: AbortSignal): Promise<readonly string[]> {
  let left: readonly Pod[] = []
  const work = async (api: KubeApi, deadline: AbortSignal): Promise<void> => {
    await cordon(api, state.nodes, deadline)
    for (;;) {
      const pods = await podsOf(api, state.nodes, deadline)
      left = pods.filter((pod) => pod.spec?.serviceAccountName !== agentServiceAccount)
      if (left.length === 0) return
      for (const pod of left) {
        if (pod.metadata.deletionTimestamp === undefined) await deletePod(api, pod, {}, deadline)
      }
      await systemClock.sleep(pollMs, deadline)
    }
  }
  const remedy = (kubectl: string) => {
    const named = left.slice(0, maxNamed).map(({ metadata }) => `${metadata.namespace}/${metadata.name}`)
    const more = left.length > maxNamed ? ` and ${left.length - maxNamed} more` : ''
    const what = left.length === 0 ? 'pods' : `pods ${named.join(', ')}${more}`
    return `${what} did not end by themselves, and are removed without waiting; what makes them stays: ${kubectl} get all -A`
  }
  return withClient(state, { budgetMs: drainBudgetMs, remedy }, signal, work)
}

/** A StatefulSet makes its pods again at once: they must not come to nodes that go. */
async function cordon(api: KubeApi, nodes: readonly string[], signal: AbortSignal): Promise<void> {
  const body = { spec: { unschedulable: true } }
  for (const name of nodes) {
    try {
      await api.patch(resources.node, { name }, { type: 'merge', body }, signal)
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 404) throw error
    }
  }
}

/**
 * Removes from a cluster's API server what only makes sense while the lab runs: its nodes with their pods and leases, and
 * webhooks that nobody answers any more. Definitions, pools and networks stay.
 * @returns what could not be done, for a person
 */
export function leaveCluster(state: LabState, signal: AbortSignal): Promise<readonly string[]> {
  const remedy = (kubectl: string) => {
    const kinds = 'mutatingwebhookconfigurations,validatingwebhookconfigurations'
    const hooks = `${kubectl} delete --ignore-not-found ${kinds} ${webhookConfigurationName}`
    const nodes = `${kubectl} delete --ignore-not-found nodes ${state.nodes.join(' ')}`
    return `what may be left of it goes with: ${hooks}; ${nodes}`
  }
  return withClient(state, { budgetMs: cleanBudgetMs, remedy }, signal, async (api, deadline) => {
    await deleteWebhooks(api, state.controllerPorts, deadline)
    const pods = await podsOf(api, state.nodes, deadline)
    for (const pod of pods) await deletePod(api, pod, { gracePeriodSeconds: 0 }, deadline)
    for (const name of state.nodes) {
      await api.delete(resources.node, { name }, {}, deadline)
      await api.delete(resources.lease, { name, namespace: 'kube-node-lease' }, {}, deadline)
    }
  })
}

interface Farewell {
  readonly budgetMs: number
  /** What is left when it fails, and the command for it. @param kubectl how kubectl is called */
  readonly remedy: (kubectl: string) => string
}

async function withClient(
  state: LabState,
  { budgetMs, remedy }: Farewell,
  signal: AbortSignal,
  work: (api: KubeApi, deadline: AbortSignal) => Promise<void>,
): Promise<readonly string[]> {
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(budgetMs)])
  let client: KubeClient | undefined
  try {
    const access = await loadKubeconfig(state.kubeconfig)
    client = new KubeClient(access, { userAgent: 'spiderpoolctl', logger: silentLogger })
    await work(client, deadline)
    return []
  } catch (error) {
    if (signal.aborted) throw error
    const isLate = deadline.aborted
    const problem = isLate ? `${budgetMs / 1_000} s are over` : toError(error).message
    const kubectl = `kubectl --kubeconfig ${state.kubeconfig}`
    return [`not all of the lab was removed from the API server: ${problem}; ${remedy(kubectl)}`]
  } finally {
    await client?.close()
  }
}

async function podsOf(api: KubeApi, nodes: readonly string[], signal: AbortSignal): Promise<readonly Pod[]> {
  const { items } = await api.listAll<Pod>(resources.pod, {}, signal)
  return items.filter((pod) => nodes.includes(pod.spec?.nodeName ?? ''))
}

async function deletePod(
  api: KubeApi,
  pod: Pod,
  options: { readonly gracePeriodSeconds?: number },
  signal: AbortSignal,
): Promise<void> {
  const { name, namespace = 'default', uid } = pod.metadata
  await api.delete(
    resources.pod,
    { name, namespace },
    { ...options, ...(uid === undefined ? {} : { uid }) },
    signal,
  )
}

interface WebhookConfiguration extends KubeObject {
  readonly webhooks?: readonly { readonly clientConfig?: { readonly url?: string } }[]
}

async function deleteWebhooks(api: KubeApi, ports: readonly number[], signal: AbortSignal): Promise<void> {
  const ours = ports.map((port) => `https://127.0.0.1:${port}/`)
  const isOurUrl = (url: string | undefined) => ours.some((start) => url?.startsWith(start) === true)
  for (const [plural, kind] of [
    ['mutatingwebhookconfigurations', 'MutatingWebhookConfiguration'],
    ['validatingwebhookconfigurations', 'ValidatingWebhookConfiguration'],
  ] as const) {
    const group = 'admissionregistration.k8s.io'
    const resource: Resource = { group, version: 'v1', plural, kind, namespaced: false }
    const { items } = await api.listAll<WebhookConfiguration>(resource, {}, signal)
    for (const { metadata, webhooks } of items) {
      const isOurs = webhooks?.some(({ clientConfig }) => isOurUrl(clientConfig?.url))
      if (isOurs === true) await api.delete(resource, { name: metadata.name }, {}, signal)
    }
  }
}
