import type { OwnerReference } from '../../../api/index.ts'
import type { PodTemplate, WorkloadPod } from './kinds.ts'

/** What is not in the template of a new pod. */
export interface PodExtras {
  readonly name: string
  readonly namespace: string
  readonly owner: OwnerReference
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
  readonly finalizers?: readonly string[]
}

/** The pod that a template describes. */
export function podOf(template: PodTemplate, extras: PodExtras): WorkloadPod {
  const { labels, annotations, finalizers = [] } = template.metadata ?? {}
  const allFinalizers = [...finalizers, ...(extras.finalizers ?? [])]
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: extras.name,
      namespace: extras.namespace,
      labels: { ...labels, ...extras.labels },
      annotations: { ...annotations, ...extras.annotations },
      ...(allFinalizers.length === 0 ? {} : { finalizers: allFinalizers }),
      ownerReferences: [extras.owner],
    },
    ...(template.spec === undefined ? {} : { spec: template.spec }),
  }
}
