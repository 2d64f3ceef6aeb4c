import { createHash } from 'node:crypto'
import { stringifyJson } from '../../../../base/index.ts'
import { fromEntries, type JsonObject, objectAt, withKey } from '../record.ts'
import { anything, text } from './builders.ts'
import { coreKinds } from './core-schemas.ts'
import { objectMeta } from './meta-schemas.ts'
import { workloadKinds } from './workload-schemas.ts'

/** A served kind, as documents describe it. */
export interface DocumentedKind {
  readonly group: string
  readonly version: string
  readonly kind: string
  readonly plural: string
  readonly namespaced: boolean
  /** `openAPIV3Schema` of a custom resource; undefined for a built-in kind. */
  readonly schema: JsonObject | undefined
}

/** The documents under `/openapi/v3`. */
export interface OpenApiV3 {
  /** The answer to `/openapi/v3`: a URL for each group version, which changes when the document does. */
  readonly index: JsonObject
  /** The document at `api/v1` or `apis/<group>/<version>`; undefined when no such group version is served. */
  document(path: string): JsonObject | undefined
}

const metaName = 'io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta'
const builtIn: Readonly<Record<string, JsonObject>> = { ...coreKinds, ...workloadKinds }
const nothingKnown = anything('Not described.')

/**
 * The schema of a built-in kind with its metadata, for patches: merge keys and list types.
 * @returns a schema of metadata alone for a kind that is not described
 */
export function builtInSchema(group: string, version: string, kind: string): JsonObject {
  const schema = builtIn[`${group}/${version}/${kind}`] ?? nothingKnown
  return withMetadata(schema, objectMeta)
}

/** The schema of a custom resource for server-side apply: as written, with the metadata that every object has. */
export function customSchema(openApi: JsonObject): JsonObject {
  return withMetadata(openApi, objectMeta)
}

function withMetadata(schema: JsonObject, metadata: JsonObject): JsonObject {
  const properties = {
    apiVersion: text('API version of this object.'),
    kind: text('Kind of this object.'),
    ...objectAt(schema, 'properties'),
    metadata,
  }
  return withKey(schema, 'properties', properties)
}

/** Builds the documents of all served kinds; call it again when the kinds change. Documents are made when asked for. */
export function openApiV3(kinds: readonly DocumentedKind[]): OpenApiV3 {
  const groups = Map.groupBy(kinds, pathOf)
  const made = new Map<string, JsonObject>()
  const document = (path: string): JsonObject | undefined => {
    const members = groups.get(path)
    if (members === undefined) return undefined
    const known = made.get(path) ?? documentOf(path, members)
    made.set(path, known)
    return known
  }
  const paths = [...groups.keys()].map((path) => {
    const hash = createHash('sha256')
      .update(stringifyJson(document(path)))
      .digest('hex')
      .toUpperCase()
    return [path, { serverRelativeURL: `/openapi/v3/${path}?hash=${hash}` }] as const
  })
  return { index: { paths: fromEntries(paths) }, document }
}

const pathOf = ({ group, version }: DocumentedKind): string =>
  group === '' ? `api/${version}` : `apis/${group}/${version}`

function documentOf(path: string, kinds: readonly DocumentedKind[]): JsonObject {
  const schemas = kinds.map((kind) => [componentName(kind), componentOf(kind)] as const)
  return {
    openapi: '3.0.0',
    info: { title: 'Spiderpool lab', version: 'v1' },
    paths: fromEntries(kinds.flatMap((kind) => pathsOf(path, kind))),
    components: { schemas: fromEntries([[metaName, objectMeta], ...schemas]) },
  }
}

function componentName({ group, version, kind }: DocumentedKind): string {
  const domain =
    group === '' || !group.includes('.')
      ? `io.k8s.api.${group === '' ? 'core' : group}`
      : group.split('.').reverse().join('.')
  return `${domain}.${version}.${kind}`
}

function componentOf({ group, version, kind, schema }: DocumentedKind): JsonObject {
  const known = schema ?? builtIn[`${group}/${version}/${kind}`] ?? nothingKnown
  const reference = {
    description: 'Name, labels and life cycle of the object.',
    allOf: [{ $ref: `#/components/schemas/${metaName}` }],
  }
  return { ...withMetadata(known, reference), 'x-kubernetes-group-version-kind': [{ group, version, kind }] }
}

const query = (name: string, type: string, description: string): JsonObject => ({
  name,
  in: 'query',
  description,
  schema: { type },
})
const writeParameters = [
  query('dryRun', 'string', 'All: do everything but store.'),
  query('fieldManager', 'string', 'Name of who writes.'),
  query('fieldValidation', 'string', 'What is done about unknown fields: Ignore, Warn or Strict.'),
]

function pathsOf(prefix: string, kind: DocumentedKind): readonly (readonly [string, JsonObject])[] {
  const gvk = { group: kind.group, version: kind.version, kind: kind.kind }
  const reference = { $ref: `#/components/schemas/${componentName(kind)}` }
  const content = { 'application/json': { schema: reference } }
  const operation = (action: string, parameters: readonly JsonObject[] = []): JsonObject => ({
    'x-kubernetes-action': action,
    'x-kubernetes-group-version-kind': gvk,
    ...(parameters.length === 0 ? {} : { parameters }),
    responses: { 200: { description: 'OK', content } },
  })
  const name = { name: 'name', in: 'path', required: true, schema: { type: 'string' } }
  const namespace = { name: 'namespace', in: 'path', required: true, schema: { type: 'string' } }
  const inNamespace = kind.namespaced ? [namespace] : []
  const base = `/${prefix}/${kind.namespaced ? 'namespaces/{namespace}/' : ''}${kind.plural}`
  const collection = {
    get: operation('list'),
    post: { ...operation('post', writeParameters), requestBody: { content } },
    ...(inNamespace.length === 0 ? {} : { parameters: inNamespace }),
  }
  const single = {
    get: operation('get'),
    put: { ...operation('put', writeParameters), requestBody: { content } },
    patch: operation('patch', [
      ...writeParameters,
      query('force', 'boolean', 'Take fields over from other managers.'),
    ]),
    delete: operation('delete'),
    parameters: [name, ...inNamespace],
  }
  return [
    [base, collection],
    [`${base}/{name}`, single],
  ]
}
