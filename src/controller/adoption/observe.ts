import {
  type AllocationRecords,
  annotationKeys,
  readAllocationRecords,
  resources,
  type SpiderEndpoint,
  type SpiderIpPool,
} from '../../api/index.ts'
import type { InvalidInputError } from '../../base/index.ts'
import type { KubeApi } from '../../kube/index.ts'
import { isOurEndpoint, textDigest, writerOf } from '../views/view-marks.ts'
import { claimsOfEndpoint, claimsOfRecords, type FoundClaim } from './found-claims.ts'

/** A pool may hold its records as a text of a megabyte. */
const poolPage = 20

/** What one pool's `status.allocatedIPs` says, when others wrote it. */
export interface ForeignText extends Omit<AllocationRecords, 'records'> {
  readonly pool: SpiderIpPool
  /** First 16 digits of the digest of the text. */
  readonly digest: string
  readonly claims: readonly FoundClaim[]
  /** The operator said that what is unreadable in this very text may be overwritten. */
  readonly isDiscarded: boolean
}

/** An address of an endpoint that cannot be read. */
export interface EndpointProblem {
  readonly endpoint: SpiderEndpoint
  readonly error: InvalidInputError
}

/** All that others recorded. */
export interface Observation {
  readonly texts: readonly ForeignText[]
  readonly endpointClaims: readonly FoundClaim[]
  readonly endpointProblems: readonly EndpointProblem[]
}

/** Reads the text of a pool; undefined when it is ours, or nobody's. */
export function readForeignText(pool: SpiderIpPool): ForeignText | undefined {
  if (writerOf(pool.status) !== 'others') return undefined
  const text = pool.status?.allocatedIPs ?? ''
  const { records, unreadable, remarks } = readAllocationRecords(text)
  const digest = textDigest(text).slice(0, 16)
  const { metadata, spec } = pool
  return {
    pool: { metadata, spec },
    digest,
    claims: claimsOfRecords(metadata.name, records),
    unreadable,
    remarks,
    isDiscarded: metadata.annotations?.[annotationKeys.discardAllocatedIps] === digest,
  }
}

/**
 * Reads pools and endpoints, uncached. When every pool has our mark the endpoints are left out, as a new leader should not
 * be long: they were adopted by the leader that set the first of the marks, which it did after all of the adoption.
 *
 * @param scope `all`: agents of the reference ran until now, so that endpoints are read in any case
 */
export async function observe(
  api: Pick<KubeApi, 'listAll'>,
  scope: 'all' | 'unmarked',
  signal: AbortSignal,
): Promise<Observation> {
  const texts = new Map<string, ForeignText>()
  const writers = new Map<string, ReturnType<typeof writerOf>>()
  const keepPool = (pool: SpiderIpPool): SpiderIpPool => {
    const text = readForeignText(pool)
    if (text !== undefined) texts.set(pool.metadata.name, text)
    else texts.delete(pool.metadata.name)
    writers.set(pool.metadata.name, writerOf(pool.status))
    return { metadata: { name: pool.metadata.name }, spec: { subnet: '' } }
  }
  await api.listAll<SpiderIpPool>(resources.ipPool, { keep: keepPool, limit: poolPage }, signal)
  const found = new Map<string, ReturnType<typeof claimsOfEndpoint> & { endpoint: SpiderEndpoint }>()
  const isMarked = writers.size > 0 && [...writers.values()].every((writer) => writer === 'us')
  if (scope === 'all' || !isMarked) {
    const keep = (endpoint: SpiderEndpoint): SpiderEndpoint => {
      const { namespace = '', name } = endpoint.metadata
      if (!isOurEndpoint(endpoint))
        found.set(`${namespace}/${name}`, { endpoint, ...claimsOfEndpoint(endpoint) })
      return { ...endpoint, metadata: { name } }
    }
    await api.listAll<SpiderEndpoint>(resources.endpoint, { keep }, signal)
  }
  return {
    texts: [...texts.values()],
    endpointClaims: [...found.values()].flatMap(({ claims }) => claims),
    endpointProblems: [...found.values()].flatMap(({ endpoint, problems }) =>
      problems.map((error) => ({ endpoint, error })),
    ),
  }
}
