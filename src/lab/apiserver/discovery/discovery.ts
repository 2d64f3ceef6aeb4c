import { stringifyJson } from '../../../base/index.ts'
import type { ServerContext } from '../context.ts'
import { apiVersionOf, type Kind } from '../kinds/kind.ts'
import { compareVersions } from '../kinds/registry.ts'
import type { JsonObject } from '../schema/record.ts'
import { pathNotFound } from '../status.ts'
import { reviewResources } from './review-resources.ts'

const verbs = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'] as const

/** A group with its versions, best first, and what is served in each. */
interface Group {
  readonly name: string
  readonly versions: readonly string[]
}

function groupsOf(context: ServerContext): readonly Group[] {
  const versions = new Map<string, Set<string>>()
  const add = (group: string, version: string) => {
    const known = versions.get(group) ?? new Set()
    versions.set(group, known.add(version))
  }
  for (const kind of context.registry.all()) for (const version of kind.versions) add(kind.group, version)
  for (const { group, version } of reviewResources) add(group, version)
  return [...versions].map(([name, set]) => ({ name, versions: [...set].sort(compareVersions) }))
}

interface Entry {
  readonly name: string
  readonly singular: string
  readonly namespaced: boolean
  readonly kind: string
  readonly group: string
  readonly version: string
  readonly verbs: readonly string[]
  readonly shortNames: readonly string[]
  readonly categories: readonly string[]
  readonly subresources: readonly Subresource[]
}

interface Subresource {
  readonly name: string
  readonly kind: string
  readonly group: string
  readonly version: string
  readonly verbs: readonly string[]
}

const statusVerbs = ['get', 'patch', 'update']
const special: Readonly<Record<string, Omit<Subresource, 'name'>>> = {
  binding: { kind: 'Binding', group: '', version: 'v1', verbs: ['create'] },
  eviction: { kind: 'Eviction', group: 'policy', version: 'v1', verbs: ['create'] },
  token: { kind: 'TokenRequest', group: 'authentication.k8s.io', version: 'v1', verbs: ['create'] },
  finalize: { kind: 'Namespace', group: '', version: 'v1', verbs: ['update'] },
}

function entryOf(kind: Kind, version: string): Entry {
  const custom = kind.custom(version)
  const hasStatus = custom === undefined ? kind.hasStatus : custom.hasStatus
  const hasScale = custom === undefined ? kind.scale !== undefined : custom.scale !== undefined
  const own = { kind: kind.kind, group: kind.group, version }
  return {
    name: kind.plural,
    singular: kind.singular,
    namespaced: kind.namespaced,
    ...own,
    verbs,
    shortNames: kind.shortNames,
    categories: kind.categories,
    subresources: [
      ...(hasStatus ? [{ name: 'status', ...own, verbs: statusVerbs }] : []),
      ...(hasScale
        ? [{ name: 'scale', kind: 'Scale', group: 'autoscaling', version: 'v1', verbs: statusVerbs }]
        : []),
      ...kind.subresources.flatMap((name) => {
        const known = special[name]
        return known === undefined ? [] : [{ name, ...known }]
      }),
    ],
  }
}

function entriesOf(context: ServerContext, group: string, version: string): readonly Entry[] {
  const stored = [...context.registry.all()]
    .filter((kind) => kind.group === group && kind.versions.includes(version))
    .map((kind) => entryOf(kind, version))
  const reviews = reviewResources
    .filter((review) => review.group === group && review.version === version)
    .map((review) => ({
      name: review.plural,
      singular: review.kind.toLowerCase(),
      namespaced: review.namespaced,
      kind: review.kind,
      group,
      version,
      verbs: ['create'],
      shortNames: [],
      categories: [],
      subresources: [],
    }))
  return [...stored, ...reviews]
}

const aggregated = /as=APIGroupDiscoveryList/

/** Whether the caller asks for all groups in one document, and in which version of it. */
export function aggregatedVersion(accept: string | undefined): string | undefined {
  for (const part of (accept ?? '').split(',')) {
    if (!aggregated.test(part) || !/g=apidiscovery\.k8s\.io/.test(part)) continue
    const version = /v=(v2beta1|v2)(;|$|\s)/.exec(part)?.[1]
    if (version !== undefined) return version
  }
  return undefined
}

/** APIGroupDiscoveryList of the core group (`isCore`) or of the named groups. */
export function groupDiscovery(context: ServerContext, isCore: boolean, version: string): string {
  const groups = groupsOf(context).filter(({ name }) => (name === '') === isCore)
  return stringifyJson({
    kind: 'APIGroupDiscoveryList',
    apiVersion: `apidiscovery.k8s.io/${version}`,
    metadata: {},
    items: groups.map((group) => ({
      metadata: { name: group.name === '' ? undefined : group.name, creationTimestamp: null },
      versions: group.versions.map((groupVersion) => ({
        version: groupVersion,
        freshness: 'Current',
        resources: entriesOf(context, group.name, groupVersion).map(discoveryEntry),
      })),
    })),
  })
}

function discoveryEntry(entry: Entry): JsonObject {
  const kindOf = ({ group, version, kind }: Pick<Entry, 'group' | 'version' | 'kind'>) => ({
    group,
    version,
    kind,
  })
  return {
    resource: entry.name,
    responseKind: kindOf(entry),
    scope: entry.namespaced ? 'Namespaced' : 'Cluster',
    singularResource: entry.singular,
    verbs: entry.verbs,
    ...(entry.shortNames.length === 0 ? {} : { shortNames: entry.shortNames }),
    ...(entry.categories.length === 0 ? {} : { categories: entry.categories }),
    ...(entry.subresources.length === 0
      ? {}
      : {
          subresources: entry.subresources.map((sub) => ({
            subresource: sub.name,
            responseKind: kindOf(sub),
            verbs: sub.verbs,
          })),
        }),
  }
}

/** `/api` */
export function coreVersions(): string {
  return stringifyJson({ kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: [] })
}

/** `/apis` */
export function groupList(context: ServerContext): string {
  const groups = groupsOf(context).filter(({ name }) => name !== '')
  return stringifyJson({ kind: 'APIGroupList', apiVersion: 'v1', groups: groups.map(groupBody) })
}

/** `/apis/GROUP` @throws {StatusError} 404 */
export function groupDocument(context: ServerContext, name: string): string {
  const group = groupsOf(context).find((item) => item.name === name)
  if (group === undefined || name === '') throw pathNotFound()
  return stringifyJson({ kind: 'APIGroup', apiVersion: 'v1', ...groupBody(group) })
}

function groupBody({ name, versions }: Group): JsonObject {
  const list = versions.map((version) => ({ groupVersion: `${name}/${version}`, version }))
  return { name, versions: list, preferredVersion: list[0] }
}

/** `/api/v1`, `/apis/GROUP/VERSION` @throws {StatusError} 404 */
export function resourceList(context: ServerContext, group: string, version: string): string {
  const entries = entriesOf(context, group, version)
  if (entries.length === 0) throw pathNotFound()
  const resources = entries.flatMap((entry) => [
    {
      name: entry.name,
      singularName: entry.singular,
      namespaced: entry.namespaced,
      kind: entry.kind,
      verbs: entry.verbs,
      ...(entry.shortNames.length === 0 ? {} : { shortNames: entry.shortNames }),
      ...(entry.categories.length === 0 ? {} : { categories: entry.categories }),
    },
    ...entry.subresources.map((sub) => ({
      name: `${entry.name}/${sub.name}`,
      singularName: '',
      namespaced: entry.namespaced,
      ...(sub.group === group && sub.version === version ? {} : { group: sub.group, version: sub.version }),
      kind: sub.kind,
      verbs: sub.verbs,
    })),
  ])
  return stringifyJson({
    kind: 'APIResourceList',
    apiVersion: 'v1',
    groupVersion: apiVersionOf(group, version),
    resources,
  })
}

const minor = 32

/** `/version` */
export function versionDocument(): string {
  return stringifyJson({
    major: '1',
    minor: String(minor),
    gitVersion: `v1.${minor}.0+spiderpool-lab`,
    gitCommit: '',
    gitTreeState: 'clean',
    buildDate: '2026-01-01T00:00:00Z',
    goVersion: 'none',
    compiler: 'none',
    platform: `linux/${process.arch === 'x64' ? 'amd64' : process.arch}`,
  })
}
