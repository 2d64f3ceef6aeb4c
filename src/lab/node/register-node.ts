import { implementationLabel, type Node, type Pod, resources } from '../../api/index.ts'
import type { KubeApi } from '../../kube/index.ts'

/** How a node of the lab shows itself to the API server. */
export interface NodeIdentity {
  readonly name: string
  readonly addresses: readonly string[]
  /** Where the product runs; the agent's pod and ServiceAccount are there. */
  readonly systemNamespace: string
}

export const agentServiceAccount = 'spiderpool-agent'
const agentImage = 'spiderpool-agent'
const agentLabels = {
  'app.kubernetes.io/component': 'spiderpool-agent',
  [implementationLabel.key]: implementationLabel.value,
}

function agentPodName(node: string): string {
  return `spiderpool-agent-${node}`
}

/** Makes the Node object, if it is not there, and says that it is ready. Safe to repeat. */
export async function registerNode(api: KubeApi, node: NodeIdentity, signal: AbortSignal): Promise<void> {
  const found = await api.get<Node>(resources.node, { name: node.name }, signal)
  if (found === undefined) await unlessThere(api.create<Node>(resources.node, nodeObject(node.name), signal))
  const before = found?.status?.conditions?.find(({ type, status }) => type === 'Ready' && status === 'True')
  const now = new Date().toISOString().replace(/\.\d+Z$/, 'Z')
  const body = { status: nodeStatus(node, now, before?.lastTransitionTime ?? now) }
  const patch = { type: 'merge', body, subresource: 'status' } as const
  await api.patch(resources.node, { name: node.name }, patch, signal)
}

function nodeObject(name: string): Node {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name,
      labels: {
        'kubernetes.io/hostname': name,
        'kubernetes.io/os': 'linux',
        'kubernetes.io/arch': process.arch === 'x64' ? 'amd64' : process.arch,
        ...(name === 'master' ? { 'node-role.kubernetes.io/control-plane': '' } : {}),
      },
    },
  }
}

function nodeStatus(node: NodeIdentity, now: string, readySince: string): object {
  const ready = {
    type: 'Ready',
    status: 'True',
    reason: 'LabNodeReady',
    message: 'a network namespace of the lab',
    lastHeartbeatTime: now,
    lastTransitionTime: readySince,
  }
  const capacity = { cpu: '2', memory: '4Gi', pods: '2000' }
  return {
    conditions: [ready],
    addresses: [
      ...node.addresses.map((address) => ({ type: 'InternalIP', address })),
      { type: 'Hostname', address: node.name },
    ],
    capacity,
    allocatable: capacity,
    nodeInfo: {
      kubeletVersion: 'lab',
      containerRuntimeVersion: 'lab://1',
      operatingSystem: 'linux',
      architecture: process.arch === 'x64' ? 'amd64' : process.arch,
    },
  }
}

const leaseSeconds = 40

/**
 * Renews the Lease by which a cluster's node controller sees that a node is alive: more than once in 40 s.
 * The embedded API server's lab has no such controller.
 */
export async function renewNodeLease(api: KubeApi, node: string, signal: AbortSignal): Promise<void> {
  const ref = { name: node, namespace: 'kube-node-lease' }
  const renewTime = new Date().toISOString().replace('Z', '000Z') // MicroTime: six digits
  const spec = { holderIdentity: node, leaseDurationSeconds: leaseSeconds, renewTime }
  try {
    await api.patch(resources.lease, ref, { type: 'merge', body: { spec } }, signal)
  } catch (error) {
    if (!(error instanceof Error && 'status' in error && error.status === 404)) throw error
    const lease = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: ref, spec }
    await unlessThere(api.create(resources.lease, lease, signal))
  }
}

/**
 * Makes the pod that stands for the node's agent, if it is not there: tokens are bound to it.
 * @returns the pod as it is
 */
export async function ensureAgentPod(api: KubeApi, node: NodeIdentity, signal: AbortSignal): Promise<Pod> {
  const ref = { name: agentPodName(node.name), namespace: node.systemNamespace }
  const found = await api.get<Pod>(resources.pod, ref, signal)
  if (found !== undefined && found.metadata.deletionTimestamp === undefined) return found
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { ...ref, labels: agentLabels },
    spec: {
      nodeName: node.name,
      hostNetwork: true,
      serviceAccountName: agentServiceAccount,
      priorityClassName: 'system-node-critical',
      tolerations: [{ operator: 'Exists' }],
      containers: [{ name: 'spiderpool-agent', image: agentImage }],
    },
  }
  await unlessThere(api.create<Pod>(resources.pod, pod, signal))
  return (await api.get<Pod>(resources.pod, ref, signal)) ?? pod
}

async function unlessThere(creation: Promise<unknown>): Promise<void> {
  try {
    await creation
  } catch (error) {
    if (!(error instanceof Error && 'status' in error && error.status === 409)) throw error
  }
}
