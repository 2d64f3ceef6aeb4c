import type { ApiObject } from '../object.ts'
import type { CompiledVersion, ScalePaths } from '../schema/crd/compile-version.ts'
import type { FieldFailure } from '../schema/failure.ts'
import type { StatusSubject } from '../status.ts'
import type { NameRule } from './names.ts'

/** One resource that the server stores, built in or defined by a CustomResourceDefinition. */
export interface Kind {
  readonly group: string
  /** The version that objects are stored in; for built-in kinds the only one. */
  readonly version: string
  /** Served versions, the preferred one first. */
  readonly versions: readonly string[]
  readonly plural: string
  readonly singular: string
  readonly kind: string
  readonly listKind: string
  readonly shortNames: readonly string[]
  readonly categories: readonly string[]
  readonly namespaced: boolean
  readonly nameRule: NameRule
  /** Whether `metadata.generation` counts changes of the spec. */
  readonly hasGeneration: boolean
  readonly hasStatus: boolean
  readonly scale: ScalePaths | undefined
  /** Further subresources: binding, eviction, token, finalize, approval... */
  readonly subresources: readonly string[]
  /** A create request may bring a status (nodes: the kubelet registers with it). */
  readonly statusOnCreate: boolean
  /** Fills defaults into what will be stored; `old` is undefined on create. */
  prepare(object: ApiObject, old: ApiObject | undefined, nowIso: string): ApiObject
  /** What is wrong with the object beyond its metadata. */
  check(object: ApiObject, old: ApiObject | undefined): readonly FieldFailure[]
  /** Values that field selectors may ask for, beside metadata.name and metadata.namespace. */
  fields(object: ApiObject): Readonly<Record<string, string>>
  /** The compiled schema of one served version, for custom resources. */
  custom(version: string): CompiledVersion | undefined
  readonly isCustom: boolean
}

/** Key of a resource in the store. */
export function resourceKey(kind: { readonly group: string; readonly plural: string }): string {
  return `${kind.group}/${kind.plural}`
}

export function apiVersionOf(group: string, version: string): string {
  return group === '' ? version : `${group}/${version}`
}

/** How refusals name an object of a kind. */
export function subjectOf(kind: Kind, name?: string): StatusSubject {
  return { group: kind.group, kind: kind.plural, ...(name === undefined || name === '' ? {} : { name }) }
}
