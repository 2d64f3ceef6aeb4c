import { type NetworkAttachmentDefinition, type Pod, resources } from '../../api/index.ts'
import { OperationError } from '../../base/index.ts'
import { CniError, cniCodes } from '../../cni/index.ts'
import type { KubeApi } from '../../kube/index.ts'
import { type NetworkStatus, networkStatusAnnotation } from '../../network/index.ts'
import type { PodIdentity } from '../pod-identity.ts'

const statusAttempts = 5
const mirrorAnnotations = ['kubernetes.io/config.mirror', 'kubernetes.io/config.hash']

/**
 * Reads the pod of an ADD, uncached.
 * @throws {CniError} code 105 when it is not there, or is another pod of the same name
 */
export async function readPod(kube: KubeApi, identity: PodIdentity, signal: AbortSignal): Promise<Pod> {
  const { podNamespace, podName, podUid } = identity
  const pod = await kube.get<Pod>(resources.pod, { name: podName, namespace: podNamespace }, signal)
  if (pod === undefined) throw podGone(identity)
  const { uid, annotations = {} } = pod.metadata
  // The runtime knows a static pod by the hash of its file, the API server its mirror by a uid of its own.
  const known = [uid, ...mirrorAnnotations.map((key) => annotations[key])]
  if (podUid !== '' && !known.includes(podUid))
    throw podMismatch(identity, `is another pod now (uid ${uid ?? 'none'}, not ${podUid})`)
  return pod
}

/** Error of a pod that is not there any more. */
export function podGone(identity: PodIdentity): CniError {
  return podMismatch(identity, 'is not there')
}

function podMismatch({ podNamespace, podName }: PodIdentity, state: string): CniError {
  return new CniError({
    cniCode: cniCodes.podMismatch,
    slug: 'pod-not-found',
    message: `Cannot attach pod "${podNamespace}/${podName}": it ${state}`,
    hint: 'nothing is to be done: kubelet removes the sandbox of a pod that is gone',
  })
}

/** A NetworkAttachmentDefinition that a pod selects is not there. */
export class NetworkMissingError extends CniError {
  override readonly code: string = 'NETWORK_MISSING'
  constructor(network: string) {
    super({
      cniCode: cniCodes.config,
      slug: 'network-missing',
      message: `Cannot attach network "${network}": there is no such NetworkAttachmentDefinition`,
      hint: 'create it (or a SpiderMultusConfig of that name), or correct the annotation of the pod',
    })
  }
}

/** @throws {NetworkMissingError} */
export async function readNetwork(
  kube: KubeApi,
  ref: { readonly namespace: string; readonly name: string },
  signal: AbortSignal,
): Promise<NetworkAttachmentDefinition> {
  const { namespace, name } = ref
  const resource = resources.networkAttachmentDefinition
  const nad = await kube.get<NetworkAttachmentDefinition>(resource, { namespace, name }, signal)
  if (nad === undefined) throw new NetworkMissingError(`${namespace}/${name}`)
  return nad
}

/**
 * Writes the network status into the pod's annotations, and nothing else of it.
 * @throws {CniError} code 105 when the pod is gone or another one, code 11 when it still conflicts after 5 attempts
 */
export async function writeNetworkStatus(
  kube: KubeApi,
  identity: PodIdentity & { readonly uid: string },
  status: readonly NetworkStatus[],
  signal: AbortSignal,
): Promise<void> {
  const ref = { name: identity.podName, namespace: identity.podNamespace }
  const annotations = { [networkStatusAnnotation]: JSON.stringify(status, undefined, 4) }
  // The uid is a precondition: the server refuses to write to another pod of the same name.
  const body = { metadata: { uid: identity.uid, annotations } }
  for (let attempt = 1; ; attempt++) {
    try {
      // By way of the status, so that an agent needs no right to change what a pod runs.
      const patch = { type: 'merge', body, subresource: 'status', fieldManager: 'spiderpool-agent' } as const
      await kube.patch(resources.pod, ref, patch, signal)
      return
    } catch (error) {
      const httpStatus = statusOf(error)
      if (httpStatus === 404) throw podGone(identity)
      if (httpStatus !== 409) throw error
      await readPod(kube, { ...identity, podUid: identity.uid }, signal) // another uid ends it here
      if (attempt === statusAttempts)
        throw new CniError(
          {
            cniCode: cniCodes.tryAgain,
            slug: 'status-conflict',
            message: `Cannot write the network status of pod "${ref.namespace}/${ref.name}": it conflicts`,
            hint: 'try again',
          },
          { cause: error },
        )
    }
  }
}

// The status of the API server's answer: an ApiError has it.
function statusOf(error: unknown): number | undefined {
  if (!(error instanceof OperationError) || !('status' in error)) return undefined
  return typeof error.status === 'number' ? error.status : undefined
}
