import { assert } from '../../../base/index.ts'
import type { ApiObject } from '../object.ts'
import type { CompiledCrd } from '../schema/crd/compile-crd.ts'
import type { CompiledVersion } from '../schema/crd/compile-version.ts'
import { builtinKinds } from './builtin.ts'
import { checkCrd, prepareCrd } from './crd.ts'
import { type Kind, resourceKey } from './kind.ts'

export const crdResource = 'apiextensions.k8s.io/customresourcedefinitions'

/** What the server serves at this moment; CustomResourceDefinitions come and go. */
export class Registry {
  readonly #kinds = new Map<string, Kind>(builtinKinds.map((kind) => [resourceKey(kind), kind]))
  readonly #crds = new Map<string, CompiledCrd>()
  #revision = 0

  constructor() {
    const definitions = this.#kinds.get(crdResource)
    assert(definitions !== undefined, 'definitions are a built-in kind')
    const check: Kind['check'] = (object, old) => checkCrd(object, old, (crd) => this.ownerOf(crd))
    this.#kinds.set(crdResource, { ...definitions, prepare: prepareCrd, check })
  }

  /** Changes whenever the set of kinds does: for ETags and caches. */
  get revision(): number {
    return this.#revision
  }

  /** The kind at a REST path; undefined when it is not served. */
  find(group: string, version: string, plural: string): Kind | undefined {
    const kind = this.#kinds.get(`${group}/${plural}`)
    return kind?.versions.includes(version) === true ? kind : undefined
  }

  findByKey(resource: string): Kind | undefined {
    return this.#kinds.get(resource)
  }

  all(): Iterable<Kind> {
    return this.#kinds.values()
  }

  crds(): Iterable<CompiledCrd> {
    return this.#crds.values()
  }

  /** Whether a definition may not take this resource or kind because another one has it. */
  ownerOf(crd: CompiledCrd): Kind | undefined {
    for (const kind of this.#kinds.values()) {
      if (kind.group !== crd.group) continue
      if (kind.plural === crd.plural && !kind.isCustom) return kind
      if (kind.plural !== crd.plural && kind.kind === crd.kind) return kind
    }
    return undefined
  }

  addCrd(crd: CompiledCrd): void {
    const kind = customKind(crd)
    this.#kinds.set(resourceKey(kind), kind)
    this.#crds.set(crd.name, crd)
    this.#revision++
  }

  removeCrd(name: string): void {
    const crd = this.#crds.get(name)
    if (crd === undefined) return
    this.#kinds.delete(resourceKey(crd))
    this.#crds.delete(name)
    this.#revision++
  }
}

// Stored objects carry the storage version; what is checked and filled depends on the version of the object at hand.
function customKind(crd: CompiledCrd): Kind {
  const versions = [...crd.versions.keys()].sort(compareVersions)
  const versionOf = (object: ApiObject): CompiledVersion | undefined =>
    crd.versions.get(object.apiVersion.slice(crd.group.length + 1))
  const any = [...crd.versions.values()]
  return {
    group: crd.group,
    version: crd.storageVersion,
    versions,
    plural: crd.plural,
    singular: crd.singular,
    kind: crd.kind,
    listKind: crd.listKind,
    shortNames: crd.shortNames,
    categories: crd.categories,
    namespaced: crd.namespaced,
    nameRule: 'subdomain',
    hasGeneration: true,
    hasStatus: any.some(({ hasStatus }) => hasStatus),
    scale: any.find(({ scale }) => scale !== undefined)?.scale,
    subresources: [],
    statusOnCreate: false,
    prepare: (object) => {
      const version = versionOf(object)
      if (version === undefined) return object
      const { apiVersion, kind, metadata } = object
      return { ...version.applyDefaults(version.prune(object)), apiVersion, kind, metadata }
    },
    check: (object, old) => versionOf(object)?.validate(object, old) ?? [],
    fields: () => ({}),
    custom: (version) => crd.versions.get(version),
    isCustom: true,
  }
}

const versionForm = /^v(\d+)(?:(alpha|beta)(\d+))?$/

/** Kubernetes' order of versions: v2, v1, v1beta2, v1beta1, v1alpha1, then others by name. */
export function compareVersions(left: string, right: string): number {
  const [a, b] = [rank(left), rank(right)]
  if (a === undefined || b === undefined) {
    if (a !== undefined) return -1
    return b !== undefined ? 1 : left < right ? -1 : 1
  }
  for (const [index, value] of a.entries()) {
    const other = b[index] ?? 0
    if (value !== other) return other - value
  }
  return 0
}

function rank(version: string): readonly number[] | undefined {
  const found = versionForm.exec(version)
  if (found === null) return undefined
  const stability = found[2] === undefined ? 2 : found[2] === 'beta' ? 1 : 0
  return [stability, Number(found[1]), Number(found[3] ?? 0)]
}
