import { readFile } from 'node:fs/promises'
import type { ObjectMeta, OwnerReference, Pod } from '../../api/index.ts'
import { InvalidInputError, toError } from '../../base/index.ts'
import { parseYamlDocuments } from '../../kube/index.ts'

type Fields = Readonly<Record<string, unknown>>

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
 * The pod that a manifest makes: a Pod, or the first one of a workload, with the workload as its owner.
 * @param namespace where it goes when the manifest does not say
 * @throws {InvalidInputError} when there is no pod in it, or several
 */
export function podOfManifest(text: string, file: string, namespace: string | undefined): Pod {
  const documents = parseYamlDocuments(text, file).flatMap((one) => itemsOf(one))
  const found = documents.filter((one) => templateOf(one) !== undefined)
  const [first, second] = found
  if (first === undefined || second !== undefined) {
    const kinds = documents.map(({ kind }) => String(kind)).join(', ')
    const problem = first === undefined ? 'has no pod and no workload' : 'has several pods or workloads'
    throw new InvalidInputError(file, kinds, problem, `write one Pod, ${templateKinds.join(', ')} or CronJob`)
  }
  return podOf(first, file, namespace)
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

function podOf(object: Fields, file: string, fallback: string | undefined): Pod {
  const { kind } = object
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
  const isPod = kind === 'Pod'
  const ordinal = kind === 'StatefulSet' ? '0' : 'new'
  const name = own.name !== '' ? own.name : (own.generateName ?? '').replace(/-$/, '')
  if (name === '') throw new InvalidInputError(file, '', 'has no metadata.name', 'write a name')
  const owners: readonly OwnerReference[] = [
    {
      apiVersion: String(object['apiVersion']),
      kind: String(kind),
      name,
      uid: own.uid ?? '',
      controller: true,
    },
  ]
  return {
    metadata: {
      name: isPod ? name : `${name}-${ordinal}`,
      namespace,
      uid: dryUid,
      labels,
      annotations,
      ...(isPod ? {} : { ownerReferences: owners }),
    },
    ...(spec === undefined ? {} : { spec }),
  }
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
