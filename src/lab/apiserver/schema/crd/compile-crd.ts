import { isObject, type JsonObject, listAt, objectAt, ownValue, stringAt } from '../record.ts'
import { type CompiledVersion, compileVersion } from './compile-version.ts'
import { refuse } from './refuse.ts'

/** A CustomResourceDefinition that was accepted, with defaults of its names filled in. */
export interface CompiledCrd {
  readonly name: string
  readonly group: string
  readonly plural: string
  readonly singular: string
  readonly kind: string
  readonly listKind: string
  readonly shortNames: readonly string[]
  readonly categories: readonly string[]
  readonly namespaced: boolean
  readonly storageVersion: string
  /** The served versions by name, in the order of the definition. */
  readonly versions: ReadonlyMap<string, CompiledVersion>
}

const label = /^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$/
const subdomain = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)+$/
const kindForm = /^[A-Za-z]([-A-Za-z0-9]{0,61}[A-Za-z0-9])?$/
const maxVersions = 20

/**
 * Checks and compiles a CustomResourceDefinition of apiextensions.k8s.io/v1.
 * @throws {InvalidInputError} with the path of the field, when it is not acceptable: names, versions, a schema that is
 * not structural, a CEL expression that cannot be compiled
 */
export function compileCrd(crd: unknown): CompiledCrd {
  const spec = objectAt(crd, 'spec')
  if (spec === undefined)
    return refuse('spec', null, 'is required', 'write the spec of a CustomResourceDefinition')
  const group = stringAt(spec, 'group') ?? ''
  if (group.length > 253 || !subdomain.test(group)) {
    refuse(
      'spec.group',
      ownValue(spec, 'group'),
      'is not a DNS name with a dot',
      'write a group such as example.com',
    )
  }
  const names = parseNames(spec)
  const name = stringAt(objectAt(crd, 'metadata'), 'name')
  if (name !== `${names.plural}.${group}`) {
    refuse('metadata.name', name, 'is not <plural>.<group>', `write ${names.plural}.${group}`)
  }
  const scope = ownValue(spec, 'scope')
  if (scope !== 'Cluster' && scope !== 'Namespaced') {
    refuse('spec.scope', scope, 'is not supported', 'write Cluster or Namespaced')
  }
  refuseUnsupported(spec)
  return { name, group, ...names, namespaced: scope === 'Namespaced', ...parseVersions(spec) }
}

function refuseUnsupported(spec: JsonObject): void {
  const strategy = stringAt(objectAt(spec, 'conversion'), 'strategy')
  if (strategy !== undefined && strategy !== 'None') {
    refuse(
      'spec.conversion.strategy',
      strategy,
      'is not supported here',
      'use None: no conversion webhooks are called',
    )
  }
  if (ownValue(spec, 'preserveUnknownFields') === true) {
    const hint = 'set x-kubernetes-preserve-unknown-fields in the schema where it is needed'
    refuse('spec.preserveUnknownFields', true, 'is not allowed in apiextensions.k8s.io/v1', hint)
  }
}

type Names = Pick<CompiledCrd, 'plural' | 'singular' | 'kind' | 'listKind' | 'shortNames' | 'categories'>

function parseNames(spec: JsonObject): Names {
  const names = objectAt(spec, 'names') ?? {}
  const text = (key: string, form: RegExp, fallback?: string): string => {
    const value = ownValue(names, key) ?? fallback
    if (typeof value === 'string' && value.length <= 63 && form.test(value)) return value
    return refuse(`spec.names.${key}`, value, 'is not a name of its kind', 'write letters, digits and dashes')
  }
  const list = (key: string): readonly string[] =>
    listAt(names, key).map((item, index) =>
      typeof item === 'string' && label.test(item)
        ? item
        : refuse(
            `spec.names.${key}[${index}]`,
            item,
            'is not a DNS label',
            'write lower-case letters, digits, dashes',
          ),
    )
  const kind = text('kind', kindForm)
  return {
    plural: text('plural', label),
    kind,
    singular: text('singular', label, kind.toLowerCase()),
    listKind: text('listKind', kindForm, `${kind}List`),
    shortNames: list('shortNames'),
    categories: list('categories'),
  }
}

function parseVersions(spec: JsonObject): Pick<CompiledCrd, 'versions' | 'storageVersion'> {
  const list = listAt(spec, 'versions')
  if (list.length === 0)
    refuse('spec.versions', ownValue(spec, 'versions'), 'is empty', 'write at least one version')
  if (list.length > maxVersions)
    refuse('spec.versions', '...', `has over ${maxVersions} entries`, 'drop old versions')
  const served = new Map<string, CompiledVersion>()
  const storage: string[] = []
  const seen = new Set<string>()
  for (const [index, raw] of list.entries()) {
    const path = `spec.versions[${index}]`
    if (!isObject(raw)) refuse(path, raw, 'is not an object', 'write name, served, storage and schema')
    const version = compileVersion(raw, path)
    if (seen.has(version.name))
      refuse(`${path}.name`, version.name, 'is there twice', 'name each version once')
    seen.add(version.name)
    if (version.storage) storage.push(version.name)
    if (version.served) served.set(version.name, version)
  }
  const [storageVersion, second] = storage
  if (storageVersion === undefined || second !== undefined) {
    return refuse(
      'spec.versions',
      storage,
      'has not exactly one storage version',
      'set storage: true on one version',
    )
  }
  return { versions: served, storageVersion }
}
