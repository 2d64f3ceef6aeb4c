import {
  AnnotationError,
  annotationKeys,
  type IpVersion,
  isWildcard,
  parseIppool,
  parseIppools,
  parseNamespacePools,
  requireNicChoice,
  unknownPoolKeys,
  wildcardLimit,
} from '../../api/index.ts'
import { InvalidInputError } from '../../base/index.ts'
import { NoPoolError } from '../errors.ts'
import { type IndexedPool, indexOf } from './pool-index.ts'
import type { SelectionInput, Wanted } from './selection-input.ts'

/** The pools that a source names for one NIC and family, before the filters. */
export interface NamedPools extends Wanted {
  readonly cleanGateway: boolean
  /** Where the names were written, for messages. */
  readonly source: string
  /** In the order of §7 for ties: as declared, wildcards by name, cluster defaults by name. */
  readonly pools: readonly IndexedPool[]
}

export interface Sources {
  readonly named: readonly NamedPools[]
  readonly warnings: readonly string[]
}

/** What one source says of one NIC. undefined: the source has no list for the family. */
interface Declared {
  readonly nic: string
  readonly cleanGateway: boolean
  readonly source: string
  readonly names: Readonly<Record<IpVersion, readonly string[]>>
}

const claimSource = 'spec.ippools of the claim'
const nicLimit = 64 // items of ippools
const nameLimit = 256 // entries of one list

/**
 * The candidate pools by NIC and family: the first source that says anything wins, nothing is merged (spec/ipam.md §4).
 * @throws {NoPoolError} when no source names an existing pool, or a wanted family has none left
 * @throws {InvalidInputError} when an annotation cannot be used
 */
export function findSources(input: SelectionInput): Sources {
  refuseSubnets(input)
  const warnings: string[] = []
  const declared = declaredPools(input, warnings)
  if (declared === undefined) return { named: clusterDefaults(input), warnings }
  const named = declared.flatMap((one) =>
    input.versions.flatMap((version) => namedPools(one, version, input, warnings)),
  )
  for (const { nic, source } of declared) {
    if (named.some((candidate) => candidate.nic === nic)) continue
    throw new NoPoolError(
      'no-pool-of-family',
      `${source} gives ${nic === '' ? '' : `NIC ${nic} `}no IPPool of a family that is enabled${unknownKeys(source, input)}`,
      `Name an existing IPPool in ${source}, or remove it`,
    )
  }
  return { named, warnings }
}

/** Keys that are not known are passed over (spec/ipam.md §4.1): named when nothing is left, as one may be misspelled. */
function unknownKeys(source: string, { pod }: SelectionInput): string {
  const key = [annotationKeys.ippools, annotationKeys.ippool].find((one) => source.includes(`'${one}'`))
  const unknown = unknownPoolKeys(pod.annotations[key ?? ''] ?? '{}')
  if (unknown.length === 0) return ''
  return `: its keys are ipv4 and ipv6, and ${unknown.map((one) => `'${one.slice(0, 60)}'`).join(', ')} counts for nothing`
}

function refuseSubnets({ pod }: SelectionInput): void {
  for (const key of [annotationKeys.subnets, annotationKeys.subnet]) {
    const value = pod.annotations[key]
    if (value === undefined) continue
    throw new AnnotationError(
      key,
      value,
      'cannot be used: automatic pools from SpiderSubnets come in a later release',
      `Remove ${key}, create a SpiderIPPool and name it in ${annotationKeys.ippool}`,
    )
  }
}

function declaredPools(input: SelectionInput, warnings: string[]): readonly Declared[] | undefined {
  const { pod, namespace, request } = input
  const { nic, cleanGateway } = request
  const ippools = pod.annotations[annotationKeys.ippools]
  if (ippools !== undefined) return declaredByNic(ippools, input, warnings)
  const one = (source: string, ipv4: readonly string[], ipv6: readonly string[]): readonly Declared[] => {
    refuseManyWildcards(source, [...ipv4, ...ipv6])
    return [{ nic, cleanGateway, source, names: { 4: ipv4, 6: ipv6 } }]
  }
  const { ipv4: claim4 = [], ipv6: claim6 = [] } = input.claimPools ?? {}
  if (claim4.length + claim6.length > 0) return one(claimSource, claim4, claim6)
  const ippool = pod.annotations[annotationKeys.ippool]
  if (ippool !== undefined) {
    const { ipv4, ipv6 } = parseIppool(ippool)
    return one(`Pod annotation '${annotationKeys.ippool}'`, ipv4, ipv6)
  }
  const ofNamespace = (key: string): readonly string[] => {
    const text = namespace.annotations[key]
    return text === undefined || text === '' ? [] : parseNamespacePools(key, text)
  }
  const ns4 = ofNamespace(annotationKeys.namespaceIpv4Pools)
  const ns6 = ofNamespace(annotationKeys.namespaceIpv6Pools)
  if (ns4.length + ns6.length > 0) return one(`annotations of Namespace ${namespace.name}`, ns4, ns6)
  if (request.defaultIpv4Pools.length + request.defaultIpv6Pools.length > 0) {
    return one('CNI configuration', request.defaultIpv4Pools, request.defaultIpv6Pools)
  }
  return undefined
}

/** The cost of a name does not depend on the pools that there are, that of a wildcard does; who makes pods writes both. */
function refuseManyWildcards(source: string, entries: readonly string[]): void {
  const count = entries.filter(isWildcard).length
  if (count <= wildcardLimit) return
  const problem = `has ${count} wildcards, more than ${wildcardLimit}`
  throw new InvalidInputError(source, count, problem, 'write fewer wildcards, or the names of the IPPools')
}

/** Annotation ippools: named items by their NIC, unnamed ones by the order of the pod's networks. */
function declaredByNic(text: string, input: SelectionInput, warnings: string[]): readonly Declared[] {
  const { nic } = input.request
  const choices = parseIppools(text)
  const field = `Pod annotation '${annotationKeys.ippools}'`
  if (choices.length > nicLimit) {
    throw new AnnotationError(
      annotationKeys.ippools,
      choices.length,
      `has more than ${nicLimit} items`,
      'write fewer items',
    )
  }
  const entries = choices.flatMap(({ ipv4, ipv6 }) => [...ipv4, ...ipv6])
  refuseManyWildcards(field, entries)
  const served = input.nics.includes(nic) ? input.nics : [...input.nics, nic]
  const isNamed = requireNicChoice(text, choices, nic) !== undefined
  const declared = choices.flatMap((choice, index): Declared[] => {
    const name = isNamed ? choice.nic : served[index]
    if (name === undefined || !served.includes(name)) {
      warnings.push(`item ${index} of ${field} is for a NIC that gets no address from here: left out`)
      return []
    }
    const names = { 4: choice.ipv4, 6: choice.ipv6 }
    return [{ nic: name, cleanGateway: choice.cleanGateway, source: `${field} item ${index}`, names }]
  })
  if (!declared.some((one) => one.nic === nic)) {
    throw new AnnotationError(
      annotationKeys.ippools,
      text,
      `cannot be used: wrong input, invalid format of ${field}: interface ${nic} must be specified`,
      `Write an item for each NIC, in the order of the pod's networks: ${served.join(', ')}`,
    )
  }
  return declared
}

function namedPools(
  { nic, cleanGateway, source, names }: Declared,
  version: IpVersion,
  input: SelectionInput,
  warnings: string[],
): readonly NamedPools[] {
  const entries = names[version]
  if (entries.length === 0) return []
  if (entries.length > nameLimit) {
    throw new InvalidInputError(
      source,
      entries.length,
      `lists more than ${nameLimit} pools`,
      'list fewer pools',
    )
  }
  const { pools, missing } = indexOf(input.pools).named(entries, version, source)
  if (missing.length > 0) warnings.push(`${source} names IPPools that do not exist: ${missing.join(', ')}`)
  if (pools.length > 0) return [{ nic, cleanGateway, version, source, pools }]
  if (missing.length === 0) {
    warnings.push(`${source}: no IPv${version} IPPool has a name like ${entries.join(', ')}`)
    return []
  }
  throw new NoPoolError(
    'no-pool-exists',
    `none of the IPv${version} IPPools [${entries.join(', ')}]${nic === '' ? '' : ` of ${nic}`} exists (named in ${source})`,
    `Create one of them, or correct the names in ${source}`,
  )
}

function clusterDefaults({ pools, versions, request, claimPools }: SelectionInput): readonly NamedPools[] {
  const { nic, cleanGateway } = request
  const index = indexOf(pools)
  const named = versions.flatMap((version): NamedPools[] => {
    const defaults = index.defaults(version)
    return defaults.length === 0
      ? []
      : [{ nic, cleanGateway, version, source: 'cluster default IPPools', pools: defaults }]
  })
  if (named.length > 0) return named
  throw new NoPoolError(
    'no-pool-named',
    'no pool selection rules of any type are specified',
    `Name a pool in ${claimPools === undefined ? `Pod annotation ${annotationKeys.ippool}` : claimSource}, or set spec.default of one`,
  )
}
