import { annotationKeys, directOwner, isAlive, type Pod } from '../api/index.ts'
import { sharedData, sharedText } from '../ledger/index.ts'
import { labelsToKeep } from './adoption/reference-agents.ts'

/**
 * Owners whose pods have addresses of their own: one of another uid never gets them. So a pod that the cache still shows though it
 * is gone can at worst get an address that is freed again; it cannot get one that somebody uses.
 */
const plainOwners: readonly string[] = ['v1 Pod', 'apps/v1 ReplicaSet', 'apps/v1 DaemonSet', 'batch/v1 Job']

/** What an ADD of such a pod reads of its annotations. */
const readAnnotations: ReadonlySet<string> = new Set([
  ...[annotationKeys.subnets, annotationKeys.subnet, annotationKeys.ippools, annotationKeys.ippool],
  ...[annotationKeys.routes, annotationKeys.ips, annotationKeys.mac, annotationKeys.dns],
  ...[annotationKeys.metadata, annotationKeys.refreshAttributes, annotationKeys.ipClaim],
  ...[annotationKeys.defaultRouteNic, annotationKeys.multusDefaultNetwork, annotationKeys.multusNetworks],
])
/** Of a network that takes its addresses from a claim, in whatever spelling: which pod may is decided by what is read. */
const claimReference = /ipam-claim-reference|\\/

/** A cluster has many pods: keep what nominates, what views need and what an ADD reads, and what replicas share once. */
export function trimPod(pod: Pod): Pod {
  const { metadata, spec, status } = pod
  const { name, namespace, uid, deletionTimestamp, ownerReferences, resourceVersion } = metadata
  return {
    metadata: {
      name,
      ...(namespace === undefined ? {} : { namespace: sharedText(namespace) }),
      ...(uid === undefined ? {} : { uid }),
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
      ...(deletionTimestamp === undefined ? {} : { deletionTimestamp }),
      ...(ownerReferences === undefined ? {} : { ownerReferences: sharedData(ownerReferences) }),
      ...(isPlain(pod) ? whatReplicasShare(pod) : labelsToKeep(pod)),
    },
    spec: sharedData({
      ...(spec?.nodeName === undefined ? {} : { nodeName: spec.nodeName }),
      ...(spec?.hostNetwork === true ? { hostNetwork: true } : {}),
      ...(spec?.restartPolicy === undefined ? {} : { restartPolicy: spec.restartPolicy }),
    }),
    status: sharedData({
      ...(status?.phase === undefined ? {} : { phase: status.phase }),
      ...(status?.reason === undefined ? {} : { reason: status.reason }),
    }),
  }
}

/**
 * True when an ADD may rest on the pod as the cache has it, without a read of its own: it is the very pod that the runtime names,
 * alive and on that node, has not run yet, and its addresses are its own.
 *
 * @param uid as the runtime says it; empty when it does not
 */
export function isKnownWell(pod: Pod | undefined, { uid, node }: { uid: string; node: string }): pod is Pod {
  const { annotations = {} } = pod?.metadata ?? {}
  return (
    pod !== undefined &&
    uid !== '' &&
    pod.metadata.uid === uid &&
    pod.spec?.nodeName === node &&
    isPlain(pod) &&
    isAlive(pod) &&
    // One that ran may be ending by now, its addresses freed already: a stale view must not give it others.
    pod.status?.phase === 'Pending' &&
    annotations[annotationKeys.ipClaim] === undefined &&
    !claimReference.test(annotations[annotationKeys.multusNetworks] ?? '') &&
    !claimReference.test(annotations[annotationKeys.multusDefaultNetwork] ?? '')
  )
}

function isPlain(pod: Pod): boolean {
  const { apiVersion, kind } = directOwner(pod).owner
  return plainOwners.includes(`${apiVersion} ${kind}`)
}

function whatReplicasShare(pod: Pod): Pick<Pod['metadata'], 'labels' | 'annotations'> {
  const { annotations = {} } = pod.metadata
  const labels = { ...pod.metadata.labels, ...labelsToKeep(pod).labels }
  const read = Object.entries(annotations).filter(([key]) => readAnnotations.has(key))
  return {
    ...(Object.keys(labels).length === 0 ? {} : { labels: sharedData(labels) }),
    ...(read.length === 0 ? {} : { annotations: sharedData(Object.fromEntries(read)) }),
  }
}
