import { isDeepStrictEqual } from 'node:util'
import {
  groupOf,
  type NetworkAttachmentDefinition,
  type OwnerReference,
  resources,
  type SpiderMultusConfig,
  spiderGroup,
} from '../api/index.ts'
import { InvalidInputError } from '../base/index.ts'
import type { EventRecorder, KubeApi, ObjectRef } from '../kube/index.ts'
import { nadNameOf, renderNetworkAttachment } from '../network/index.ts'

const resource = resources.networkAttachmentDefinition

/**
 * Makes the NetworkAttachmentDefinition of one SpiderMultusConfig right (spec/api.md §8.3). An unowned object of the name is
 * taken over; one that another SpiderMultusConfig owns is left alone, and an Event says so.
 *
 * @param config from the cache; the object goes with it by its owner reference
 */
export async function reconcileMultusConfig(
  config: SpiderMultusConfig,
  api: KubeApi,
  events: EventRecorder,
  signal: AbortSignal,
): Promise<void> {
  if (config.metadata.deletionTimestamp !== undefined) return
  const subject = {
    apiVersion: 'spiderpool.spidernet.io/v2beta1',
    kind: 'SpiderMultusConfig',
    metadata: config.metadata,
  }
  let wanted: NetworkAttachmentDefinition
  try {
    wanted = renderNetworkAttachment(config)
  } catch (error) {
    if (!(error instanceof InvalidInputError)) throw error
    events.event(subject, 'Warning', 'NetworkNotRendered', `${error.message}; ${error.hint}`)
    return
  }
  const ref = refOf(config)
  const found = await api.get<NetworkAttachmentDefinition>(resource, ref, signal)
  if (found === undefined) {
    await api.create(resource, wanted, signal)
    return
  }
  const owner = ownerOfNetwork(found)
  // One of the same name is this config before it was deleted and created again: the collector would take its object.
  if (owner !== undefined && owner.name !== config.metadata.name) {
    const text = `NetworkAttachmentDefinition ${ref.namespace}/${ref.name} belongs to SpiderMultusConfig "${owner.name}"`
    events.event(
      subject,
      'Warning',
      'NetworkNameTaken',
      `${text}; give this one another name or cr-name annotation`,
    )
    return
  }
  if (isUpToDate(found, wanted)) return
  const body = {
    metadata: {
      resourceVersion: found.metadata.resourceVersion,
      labels: wanted.metadata.labels,
      annotations: wanted.metadata.annotations ?? {},
      ownerReferences: wanted.metadata.ownerReferences,
    },
    spec: wanted.spec,
  }
  await api.patch(resource, ref, { type: 'merge', body }, signal)
}

/** The SpiderMultusConfig that a NetworkAttachmentDefinition belongs to, in the same namespace. */
export function ownerOfNetwork({ metadata }: NetworkAttachmentDefinition): OwnerReference | undefined {
  return metadata.ownerReferences?.find(
    ({ kind, apiVersion }) => kind === 'SpiderMultusConfig' && groupOf(apiVersion) === spiderGroup,
  )
}

function refOf(config: SpiderMultusConfig): ObjectRef {
  return { namespace: config.metadata.namespace ?? '', name: nadNameOf(config) }
}

function isUpToDate(found: NetworkAttachmentDefinition, wanted: NetworkAttachmentDefinition): boolean {
  const annotations = found.metadata.annotations ?? {}
  return (
    found.spec?.config === wanted.spec?.config &&
    isDeepStrictEqual(found.metadata.ownerReferences, wanted.metadata.ownerReferences) &&
    Object.entries(wanted.metadata.annotations ?? {}).every(([key, value]) => annotations[key] === value)
  )
}
