import { readFile } from 'node:fs/promises'
import type { ObjectMeta, Pod, Workload } from '../../api/index.ts'
import { InvalidInputError, toError } from '../../base/index.ts'
import { parseYamlDocuments } from '../../kube/index.ts'

type Fields = Readonly<Record<string, unknown>>
type WorkloadSpec = NonNullable<Workload['spec']>

/** What a manifest makes. */
export interface Manifest {
  /** It has no owners. */
  readonly pod: Pod
  /** What it comes from, from above: the last one makes the pod. None for a pod that nothing controls. */
  readonly workloads: readonly ManifestWorkload[]
}

/** Of a namespace, without a uid. */
export interface ManifestWorkload extends Workload {
  readonly apiVersion: string
  readonly kind: string
}

const templateKinds = ['Deployment', 'StatefulSet', 'DaemonSet', 'ReplicaSet', 'Job', 'ReplicationController']
const maxBytes = 1024 * 1024

/** Reads a manifest from a file; `-` is standard input. @throws {InvalidInputError} */
export async function readManifest(file: string): Promise<string> {
  const hint = 'name a file with the manifest of a pod or workload, or - for standard input'
  let text: string
  try {
    text = await readFile(file === '-' ? '/dev/stdin' : file, 'utf8')
  } catch (error) {
    throw new InvalidInputError('--filename', file, `cannot be read: ${toError(error).message}`, hint)
  }
  if (text.length > maxBytes) throw new InvalidInputError('--filename', file, 'is larger than 1 MiB', hint)
  return text
}

/**
 * The pod that a manifest makes: a Pod, or the first one of a workload, with what it comes from.
 * @param namespace where it goes when the manifest does not say
 * @throws {InvalidInputError} when there is no pod in it, or several
 */
export function parseManifest(text: string, file: string, namespace: string | undefined): Manifest {
  const documents = parseYamlDocuments(text, file).flatMap((one) => itemsOf(one))
  const found = documents.filter((one) => templateOf(one) !== undefined)
  const [first, second] = found
  if (first === undefined || second !== undefined) {
    const kinds = documents.map(({ kind }) => String(kind)).join(', ')
    const problem = first === undefined ? 'has no pod and no workload' : 'has several pods or workloads'
    throw new InvalidInputError(file, kinds, problem, `write one Pod, ${templateKinds.join(', ')} or CronJob`)
  }
  return manifestOf(first, file, namespace)
}

function itemsOf(value: unknown): readonly Fields[] {
  if (!isRecord(value)) return []
  return value['kind'] === 'List' && Array.isArray(value['items']) ? value['items'].filter(isRecord) : [value]
}

/** What the pods of an object are made of. */
function templateOf(object: Fields): Fields | undefined {
  const { kind } = object
  const spec = isRecord(object['spec']) ? object['spec'] : {}
  if (kind === 'Pod') return object
  if (kind === 'CronJob') {
    const job = isRecord(spec['jobTemplate']) ? spec['jobTemplate'] : {}
    return templateOf({ ...job, kind: 'Job' })
  }
  if (typeof kind !== 'string' || !templateKinds.includes(kind)) return undefined
  return isRecord(spec['template']) ? spec['template'] : undefined
}

function manifestOf(object: Fields, file: string, fallback: string | undefined): Manifest {
  const own = metadataOf(object, file)
  const namespace = own.namespace ?? fallback ?? 'default'
  if (fallback !== undefined && own.namespace !== undefined && own.namespace !== fallback) {
    const hint = 'leave --namespace out, or name that of the manifest'
    throw new InvalidInputError(
      '--namespace',
      fallback,
      `is not that of the manifest, ${own.namespace}`,
      hint,
    )
  }
  const template = templateOf(object) ?? {}
  const { labels = {}, annotations = {} } = metadataOf(template, file)
  const spec = (isRecord(template['spec']) ? template['spec'] : {}) as Pod['spec']
  const name = own.name !== '' ? own.name : (own.generateName ?? '').replace(/-$/, '')
  if (name === '') throw new InvalidInputError(file, '', 'has no metadata.name', 'write a name')
  const workloads = workloadsOf(object, { ...own, name, namespace }, file)
  const { kind, spec: { ordinals } = {} } = workloads.at(-1) ?? {}
  const suffix = kind === undefined ? '' : kind === 'StatefulSet' ? `-${ordinals?.start ?? 0}` : '-new'
  return {
    pod: {
      metadata: { name: `${name}${suffix}`, namespace, uid: dryUid, labels, annotations },
      ...(spec === undefined ? {} : { spec }),
    },
    workloads,
  }
}

/** A Deployment makes its pods by a ReplicaSet, and a CronJob by a Job. */
const between: Readonly<Record<string, { readonly apiVersion: string; readonly kind: string }>> = {
  Deployment: { apiVersion: 'apps/v1', kind: 'ReplicaSet' },
  CronJob: { apiVersion: 'batch/v1', kind: 'Job' },
}

function workloadsOf(object: Fields, metadata: ObjectMeta, file: string): readonly ManifestWorkload[] {
  const { apiVersion, kind } = object
  if (typeof kind !== 'string' || kind === 'Pod') return []
  const spec = isRecord(object['spec']) ? object['spec'] : {}
  const top = { apiVersion: String(apiVersion), kind, metadata, spec: workloadSpecOf(spec, kind, file) }
  const middle = between[kind]
  const { name, namespace = '' } = metadata
  return middle === undefined ? [top] : [top, { ...middle, metadata: { name: `${name}-new`, namespace } }]
}

/** What decides whose a pod is. */
function workloadSpecOf(spec: Fields, kind: string, file: string): WorkloadSpec {
  const { selector, ordinals } = spec
  const start = isRecord(ordinals) ? ordinals['start'] : undefined
  if (start !== undefined && !(typeof start === 'number' && Number.isSafeInteger(start) && start >= 0)) {
    const hint = 'write the ordinal of the first replica, such as 0'
    throw new InvalidInputError(`${file}: spec.ordinals.start`, start, 'is no whole number from 0', hint)
  }
  return {
    // That of a ReplicationController is a map of labels, and nobody reads it.
    ...(selector === undefined || kind === 'ReplicationController'
      ? {}
      : { selector: selectorOf(selector, file) }),
    ...(start === undefined ? {} : { ordinals: { start } }),
  }
}

function selectorOf(selector: unknown, file: string): NonNullable<WorkloadSpec['selector']> {
  const { matchLabels = {}, matchExpressions = [] } = isRecord(selector) ? selector : {}
  const isFine =
    isRecord(selector) &&
    isRecord(matchLabels) &&
    Array.isArray(matchExpressions) &&
    matchExpressions.every(
      (one) => isRecord(one) && (one['values'] === undefined || Array.isArray(one['values'])),
    )
  if (isFine) return selector
  const hint = 'write matchLabels or matchExpressions'
  throw new InvalidInputError(`${file}: spec.selector`, selector, 'is no label selector', hint)
}

/** Of a pod that does not exist: no address is recorded for it. */
const dryUid = 'dry-run'

function metadataOf(object: Fields, file: string): ObjectMeta {
  const metadata = isRecord(object['metadata']) ? object['metadata'] : {}
  const texts = (key: 'labels' | 'annotations'): Readonly<Record<string, string>> => {
    const map = metadata[key] ?? {}
    if (!isRecord(map)) throw wrong(key, map)
    for (const [name, value] of Object.entries(map))
      if (typeof value !== 'string') throw wrong(`${key}[${name}]`, value)
    return map as Readonly<Record<string, string>>
  }
  const wrong = (key: string, value: unknown) =>
    new InvalidInputError(`${file}: metadata.${key}`, value, 'is no text', 'put the value in quotes')
  const text = (key: string): string | undefined =>
    typeof metadata[key] === 'string' ? metadata[key] : undefined
  const namespace = text('namespace')
  const generateName = text('generateName')
  const uid = text('uid')
  return {
    name: text('name') ?? '',
    ...(namespace === undefined ? {} : { namespace }),
    ...(generateName === undefined ? {} : { generateName }),
    ...(uid === undefined ? {} : { uid }),
    labels: texts('labels'),
    annotations: texts('annotations'),
  }
}

function isRecord(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
