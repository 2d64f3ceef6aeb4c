import { createHash } from 'node:crypto'
import type { KubeObject, ObjectMeta, Pod, Resource } from '../../api/index.ts'

/** A workload object with all its fields, as the API server gave it. */
export interface WorkloadObject extends KubeObject {
  readonly spec?: Readonly<Record<string, unknown>> & {
    readonly replicas?: number
    readonly template?: PodTemplate
  }
  readonly status?: Readonly<Record<string, unknown>>
}

export interface PodTemplate {
  readonly metadata?: Partial<ObjectMeta>
  readonly spec?: Pod['spec'] & Readonly<Record<string, unknown>>
}

export interface NewPod {
  readonly name: string
  readonly labels?: Readonly<Record<string, string>>
  readonly nodeName?: string
  readonly hostname?: string
}

const suffixLetters = 'bcdfghjklmnpqrstvwxz2456789'

/** The pod of a workload's template, controlled by `owner`. */
export function podFromTemplate(owner: WorkloadObject, resource: Resource, wanted: NewPod): Pod {
  const { metadata = {}, spec = {} } = owner.spec?.template ?? {}
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: wanted.name,
      namespace: owner.metadata.namespace ?? 'default',
      labels: { ...metadata.labels, ...wanted.labels },
      ...(metadata.annotations === undefined ? {} : { annotations: metadata.annotations }),
      ownerReferences: [ownerReference(owner, resource)],
    },
    spec: {
      ...spec,
      ...(wanted.nodeName === undefined ? {} : { nodeName: wanted.nodeName }),
      ...(wanted.hostname === undefined ? {} : { hostname: wanted.hostname }),
    },
  }
}

/** A controlling reference to `owner`. */
export function ownerReference(owner: KubeObject, { group, version, kind }: Resource) {
  const apiVersion = group === '' ? version : `${group}/${version}`
  const { name, uid = '' } = owner.metadata
  return { apiVersion, kind, name, uid, controller: true, blockOwnerDeletion: true }
}

/** A short hash of any JSON value, in letters that spell no words: the same template has the same. */
export function templateHash(value: unknown): string {
  const digest = createHash('sha256').update(stableJson(value)).digest()
  return [...digest.subarray(0, 9)].map((byte) => suffixLetters[byte % suffixLetters.length]).join('')
}

/** Five letters made of a seed: the name of the n-th pod that a controller makes. */
export function podSuffix(seed: string): string {
  const digest = createHash('sha256').update(seed).digest()
  return [...digest.subarray(0, 5)].map((byte) => suffixLetters[byte % suffixLetters.length]).join('')
}

function stableJson(value: unknown): string {
  const ordered = (_key: string, item: unknown) =>
    typeof item === 'object' && item !== null && !Array.isArray(item)
      ? Object.fromEntries(Object.entries(item).sort(([a], [b]) => (a < b ? -1 : 1)))
      : item
  return JSON.stringify(value, ordered) ?? ''
}

/** Running and Ready, and not being deleted. */
export function isReady(pod: Pod): boolean {
  if (pod.metadata.deletionTimestamp !== undefined || pod.status?.phase !== 'Running') return false
  return pod.status.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') === true
}

/** Neither being deleted nor finished: it counts for `replicas`. */
export function isActive(pod: Pod): boolean {
  const phase = pod.status?.phase
  return pod.metadata.deletionTimestamp === undefined && phase !== 'Succeeded' && phase !== 'Failed'
}
