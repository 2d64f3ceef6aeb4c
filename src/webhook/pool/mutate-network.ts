import { formatCidr, parseCidr, parseRange, parseRanges } from '../../address/index.ts'
import {
  cidrLabel,
  controllerOf,
  type IpVersion,
  labelKeys,
  type OwnerReference,
  type SpiderIpPool,
  type SpiderReservedIp,
  type SpiderSubnet,
  spiderFinalizer,
  spiderGroup,
  spiderVersion,
} from '../../api/index.ts'
import { attempt, isProblem } from '../problem.ts'
import type { WebhookWorld } from '../world.ts'

// A mutation never refuses: it stops at the first thing that it cannot read, and validation says what is wrong with it.

type Network = SpiderIpPool | SpiderSubnet

/** spec/webhooks.md §3.1. */
export function mutatePool(pool: SpiderIpPool, world: WebhookWorld): SpiderIpPool {
  if (pool.metadata.deletionTimestamp !== undefined) return pool
  const labelled = withFamilyAndLabel(withFinalizer(pool), labelKeys.poolCidr)
  if (labelled === undefined) return withFinalizer(pool)
  const owned = world.settings.enableSpiderSubnet ? withOwner(labelled, world.subnets) : labelled
  return owned === undefined ? labelled : withCanonicalRanges(owned)
}

/** spec/webhooks.md §4, without the finalizer: nothing of ours has to be done before a subnet goes. */
export function mutateSubnet(subnet: SpiderSubnet): SpiderSubnet {
  if (subnet.metadata.deletionTimestamp !== undefined) return subnet
  const labelled = withFamilyAndLabel(subnet, labelKeys.subnetCidr)
  return labelled === undefined ? subnet : withCanonicalRanges(labelled)
}

/** spec/webhooks.md §5: neither finalizer nor label. */
export function mutateReservedIp(reserved: SpiderReservedIp): SpiderReservedIp {
  const { spec } = reserved
  const ips = spec.ips ?? []
  if (reserved.metadata.deletionTimestamp !== undefined || ips.length === 0) return reserved
  const version = spec.ipVersion ?? familyOfRange(ips[0] ?? '')
  if (version === undefined) return reserved
  const canonical = canonicalRanges(ips, version)
  return { ...reserved, spec: { ...spec, ipVersion: version, ips: canonical ?? ips } }
}

/** What a person is told about a network that is nearly right: the API server refuses it with fewer words. */
export function networkWarnings(object: Network): readonly string[] {
  const { subnet, ips = [], excludeIPs = [] } = object.spec
  const cidr = attempt(() => parseCidr(subnet))
  const lists = [...cidrsIn('spec.ips', ips), ...cidrsIn('spec.excludeIPs', excludeIPs)]
  if (isProblem(cidr) || formatCidr(cidr) === subnet) return lists
  return [...lists, `spec.subnet "${subnet}" is not the network form of a CIDR: write ${formatCidr(cidr)}`]
}

function cidrsIn(field: string, texts: readonly string[]): readonly string[] {
  return texts.flatMap((text, i) => {
    const range = text.includes('/')
      ? attempt(() => parseRange(text, { field: `${field}[${i}]` }))
      : undefined
    return isProblem(range) ? [`${field}[${i}] "${text}" is a CIDR, not a range: ${range.error.hint}`] : []
  })
}

/** Adds the finalizer, once. */
function withFinalizer<T extends { readonly metadata: Network['metadata'] }>(object: T): T {
  const finalizers = object.metadata.finalizers ?? []
  if (finalizers.includes(spiderFinalizer)) return object
  return { ...object, metadata: { ...object.metadata, finalizers: [...finalizers, spiderFinalizer] } }
}

function withFamilyAndLabel<T extends Network>(object: T, key: string): T | undefined {
  const { subnet, ipVersion } = object.spec
  const cidr = attempt(() => parseCidr(subnet, ipVersion === undefined ? {} : { version: ipVersion }))
  if (isProblem(cidr)) return undefined
  const label = cidrLabel(subnet)
  const labels = label === undefined ? {} : { labels: { ...object.metadata.labels, [key]: label } }
  return {
    ...object,
    metadata: { ...object.metadata, ...labels },
    spec: { ...object.spec, ipVersion: cidr.version },
  }
}

function withCanonicalRanges<T extends Network>(object: T): T {
  const { ips, excludeIPs, ipVersion } = object.spec
  if (ipVersion === undefined) return object
  const canonicalIps = canonicalRanges(ips, ipVersion)
  if (ips !== undefined && ips.length > 1 && canonicalIps === undefined) return object
  const canonicalExcluded = canonicalRanges(excludeIPs, ipVersion)
  const spec = {
    ...object.spec,
    ...(canonicalIps === undefined ? {} : { ips: canonicalIps }),
    ...(canonicalExcluded === undefined ? {} : { excludeIPs: canonicalExcluded }),
  }
  return { ...object, spec }
}

/** The canonical list of two or more entries; undefined when there are fewer, or one of them is no range. */
function canonicalRanges(
  texts: readonly string[] | undefined,
  version: IpVersion,
): readonly string[] | undefined {
  if (texts === undefined || texts.length < 2) return undefined
  const set = attempt(() => parseRanges(texts, version))
  return isProblem(set) ? undefined : set.toRanges()
}

function familyOfRange(text: string): IpVersion | undefined {
  const versions: readonly IpVersion[] = [4, 6]
  return versions.find((version) => !isProblem(attempt(() => parseRanges([text], version))))
}

/** Step 4 of §3.1; undefined: another controller owns the pool, so stop. */
function withOwner(pool: SpiderIpPool, subnets: readonly SpiderSubnet[]): SpiderIpPool | undefined {
  const controller = controllerOf(pool.metadata)
  if (controller !== undefined && controller.name === pool.metadata.labels?.[labelKeys.ownerSubnet])
    return pool
  const subnet = subnets.find(
    ({ spec, metadata }) => spec.subnet === pool.spec.subnet && metadata.deletionTimestamp === undefined,
  )
  if (subnet === undefined) return pool
  const reference = referenceTo(subnet)
  if (controller !== undefined && controller.uid !== reference.uid) return undefined
  const others = (pool.metadata.ownerReferences ?? []).filter(({ uid }) => uid !== reference.uid)
  const { gateway, routes } = subnet.spec
  return {
    ...pool,
    metadata: {
      ...pool.metadata,
      labels: { ...pool.metadata.labels, [labelKeys.ownerSubnet]: subnet.metadata.name },
      ownerReferences: [...others, reference],
    },
    spec: {
      ...pool.spec,
      ...(pool.spec.gateway === undefined && gateway !== undefined ? { gateway } : {}),
      ...(pool.spec.routes === undefined && routes !== undefined && routes.length > 0 ? { routes } : {}),
    },
  }
}

function referenceTo(subnet: SpiderSubnet): OwnerReference {
  return {
    apiVersion: `${spiderGroup}/${spiderVersion}`,
    kind: 'SpiderSubnet',
    name: subnet.metadata.name,
    uid: subnet.metadata.uid ?? '',
    controller: true,
    blockOwnerDeletion: true,
  }
}
