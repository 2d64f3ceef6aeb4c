import { controllerOf, implementationLabel, type Pod, resources } from '../../api/index.ts'
import type { KubeApi, ObjectRef } from '../../kube/index.ts'

const componentLabel = 'app.kubernetes.io/component'
const agentComponent = 'spiderpool-agent'
// The chart of the reference lets people rename its labels, but its image keeps this end.
const agentImage = /(^|\/)spiderpool-agent(:|@|$)/
const listPage = 500

/**
 * True for a pod of the reference project's agent, which gives out addresses by itself: the labels of its chart or its image,
 * without the label that all pods of this implementation carry. One that has finished gives out nothing any more. Anybody
 * who may create pods can copy label and image, so only one that also runs as an agent must counts: on a node, in its
 * network, and kept there by a DaemonSet.
 */
export function isReferenceAgent({ metadata, spec, status }: Pod): boolean {
  const { labels = {} } = metadata
  if (labels[implementationLabel.key] === implementationLabel.value) return false
  if (status?.phase === 'Succeeded' || status?.phase === 'Failed') return false
  const controller = controllerOf(metadata)
  const isDaemon = controller?.kind === 'DaemonSet' && controller.apiVersion.startsWith('apps/')
  if (!isDaemon || spec?.hostNetwork !== true || (spec.nodeName ?? '') === '') return false
  const hasImage = spec.containers?.some(({ image = '' }) => agentImage.test(image)) ?? false
  return labels[componentLabel] === agentComponent || hasImage
}

/** What a cache keeps of the labels of a pod: those by which {@link isReferenceAgent} knows it again. */
export function labelsToKeep(pod: Pod): Pick<Pod['metadata'], 'labels'> {
  return isReferenceAgent(pod) ? { labels: { [componentLabel]: agentComponent } } : {}
}

/**
 * The agents of the reference that run now, by uncached reads.
 *
 * @param cached those that the cache knows, whatever their labels
 * @returns `namespace/name` of each, sorted
 */
export async function readReferenceAgents(
  api: Pick<KubeApi, 'get' | 'listAll'>,
  cached: Iterable<Pod>,
  signal: AbortSignal,
): Promise<readonly ObjectRef[]> {
  const labelSelector = `${componentLabel}=${agentComponent}`
  const listed = await api.listAll<Pod>(resources.pod, { labelSelector, limit: listPage }, signal)
  const found = new Map(listed.items.filter(isReferenceAgent).map((pod) => [keyOf(pod.metadata), pod]))
  for (const { metadata } of cached) {
    if (found.has(keyOf(metadata))) continue
    const pod = await api.get<Pod>(resources.pod, refOf(metadata), signal)
    if (pod !== undefined && isReferenceAgent(pod)) found.set(keyOf(metadata), pod)
  }
  return [...found.keys()].sort().map((key) => refOf(found.get(key)?.metadata ?? { name: key }))
}

function refOf({ name, namespace }: ObjectRef): ObjectRef {
  return namespace === undefined ? { name } : { name, namespace }
}
function keyOf({ name, namespace = '' }: ObjectRef): string {
  return `${namespace}/${name}`
}
