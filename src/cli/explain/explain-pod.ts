import type { AllocateRequest, Pod, SpiderIpPool } from '../../api/index.ts'
import { InvalidInputError, OperationError, parseJson } from '../../base/index.ts'
import { CniError, type IpamConfig, parseIpamConfig } from '../../cni/index.ts'
import type { DryAnswer, DryRun } from '../../controller/index.ts'
import { ApiError } from '../../kube/index.ts'
import {
  explainPool,
  type Reserved,
  type RuleResult,
  type SelectionInput,
  selectPools,
} from '../../ledger/index.ts'
import { configOfNad, ourIpamIn, type PodNetworks } from '../../network/index.ts'
import { exactCount, problemOf, type Records, setsOfPool } from '../pool/pool-usage.ts'

/** What is said of one pool that a source names. */
export interface PoolExplained {
  readonly name: string
  /** True when all rules pass. */
  readonly isEligible: boolean
  readonly rules: readonly RuleResult[]
  /** `free` includes addresses that rest; absent when the spec of the pool cannot be read. */
  readonly counts?: {
    readonly total: number | bigint
    readonly used: number | bigint
    readonly free: number | bigint
  }
  readonly problem?: string
}

/** The candidates of one family. */
export interface FamilyExplained {
  readonly version: 4 | 6
  /** What named the pools. */
  readonly source: string
  /** Eligible ones in the order in which they are tried come first. */
  readonly pools: readonly PoolExplained[]
}

/** What is said of one NIC; the JSON shape, see docs/spiderpoolctl.md. */
export interface NicExplained {
  readonly nic: string
  /** `namespace/name` of its NetworkAttachmentDefinition, when that is known. */
  readonly network?: string
  readonly families: readonly FamilyExplained[]
  readonly warnings: readonly string[]
  /** Addresses that the ledger has for the pod and this NIC. */
  readonly holds: readonly { readonly ip: string; readonly pool: string }[]
  /** What an ADD of this NIC would be answered now. */
  readonly answer: DryAnswer
}

/** One pod on one node. */
export interface PodExplained {
  readonly node: string
  readonly nics: readonly NicExplained[]
  /** True when every NIC would get its addresses. */
  readonly isServed: boolean
}

/** What the explanation is made with. */
export interface ExplainWorld {
  readonly dryRun: DryRun
  readonly countsOf: (pool: SpiderIpPool) => Pick<PoolExplained, 'counts' | 'problem'>
}

/** Counts the addresses of a pool once, however many nodes ask. */
export function countsWith(facts: {
  readonly reserved: Reserved
  readonly records: Records
  readonly nowMs: number
}): ExplainWorld['countsOf'] {
  const known = new WeakMap<SpiderIpPool, Pick<PoolExplained, 'counts' | 'problem'>>()
  return (pool) => {
    const found = known.get(pool) ?? countPool(pool, facts)
    known.set(pool, found)
    return found
  }
}

/** Explains a pod on a node: the rules by the allocator's own table, the answer by the allocator itself. */
export async function explainPod(
  pod: Pod,
  node: string,
  world: ExplainWorld,
  signal: AbortSignal,
): Promise<PodExplained> {
  const { dryRun } = world
  const networks = networksOf(pod, dryRun)
  const asked = networks.nics.map((nic) => requestFor(nic, networks.nadOf(nic), pod, dryRun))
  const requests = asked.map(({ request }) => request)
  const held = dryRun.heldBy(pod)
  const selected: Pick<NicExplained, 'families' | 'warnings'>[] = []
  for (const request of requests) {
    selected.push(
      await orRefused({ families: [], warnings: [] }, async () => {
        return familiesOf(request.ifName, await dryRun.selectionOf(pod, node, request, signal), world)
      }),
    )
  }
  const answers = await dryRun.add(pod, node, requests, signal)
  const nics = requests.map(({ ifName }, index): NicExplained => {
    const network = networks.nadOf(ifName)
    const mine = held.filter(({ entry }) => entry.nic === ifName)
    return {
      nic: ifName,
      ...(network === undefined ? {} : { network }),
      families: selected[index]?.families ?? [],
      warnings: [...(asked[index]?.warnings ?? []), ...(selected[index]?.warnings ?? [])],
      holds: mine.map(({ ip, entry }) => ({ ip, pool: entry.pool })),
      answer: answers[index] ?? { kind: 'answered', addresses: [] },
    }
  })
  return { node, nics, isServed: nics.every(({ answer }) => answer.kind === 'answered') }
}

/** The NICs of the pod. When its annotations cannot be read, the ADD of the first NIC says so. */
function networksOf(pod: Pod, dryRun: DryRun): PodNetworks {
  try {
    return dryRun.networksOf(pod)
  } catch (error) {
    if (!(error instanceof InvalidInputError)) throw error
    return { nics: ['eth0'], nadOf: () => undefined, requestOf: () => ({}) }
  }
}

interface Asked {
  readonly request: AllocateRequest
  readonly warnings: readonly string[]
}

/** The request that the agent would send for a NIC, by the network's CNI configuration. */
function requestFor(nic: string, label: string | undefined, pod: Pod, dryRun: DryRun): Asked {
  const { namespace = '', name, uid = '' } = pod.metadata
  const config = label === undefined ? undefined : configuredFor(label, dryRun)
  const request: AllocateRequest = {
    containerId: 'explain',
    ifName: nic,
    netns: '',
    podNamespace: namespace,
    podName: name,
    podUid: uid,
    defaultIpv4Pools: config?.defaultIpv4Pools ?? [],
    defaultIpv6Pools: config?.defaultIpv6Pools ?? [],
    cleanGateway: config?.cleanGateway ?? false,
    budgetMs: 0, // the dry run has its own
  }
  if (config?.matchMaster === undefined) return { request, warnings: [] }
  const problem =
    'match_master_subnet is on: the subnet behind the device is known on the node alone, and left out here'
  return { request, warnings: [problem] }
}

function configuredFor(label: string, dryRun: DryRun): IpamConfig | undefined {
  const [namespace = '', name = ''] = label.split('/')
  const network = dryRun.findNetwork({ namespace, name })
  if (network === undefined) return undefined
  try {
    const config = configOfNad(label, network)
    const ipam = config.kind === 'inline' ? ourIpamIn(parseJson(config.text)) : undefined
    return ipam === undefined ? undefined : parseIpamConfig({ value: { ipam } })
  } catch (error) {
    if (!(error instanceof CniError)) throw error
    throw new InvalidInputError(
      `NetworkAttachmentDefinition ${label}`,
      '',
      `cannot be used: ${error.message}`,
      error.hint,
    )
  }
}

function familiesOf(
  nic: string,
  input: SelectionInput,
  world: ExplainWorld,
): Pick<NicExplained, 'families' | 'warnings'> {
  const { candidates, warnings } = selectPools(input)
  const families = candidates
    .filter((one) => one.nic === nic)
    .map(({ version, source, pools, verdicts }): FamilyExplained => {
      const eligible = pools.map(({ metadata }) => metadata.name)
      const others = verdicts.map(({ pool }) => pool).filter((name) => !eligible.includes(name))
      const explained = [...eligible, ...others].flatMap((name): readonly PoolExplained[] => {
        const pool = input.pools.get(name)
        return pool === undefined ? [] : [explainOne(pool, { nic, version }, input, world)]
      })
      return { version, source, pools: explained }
    })
  return { families, warnings }
}

/** The same refusal is what the ADD is answered with: here it only means that there is nothing more to tell. */
async function orRefused<T>(instead: T, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof OperationError && !(error instanceof ApiError)) return instead
    throw error
  }
}

function explainOne(
  pool: SpiderIpPool,
  wanted: { readonly nic: string; readonly version: 4 | 6 },
  input: SelectionInput,
  { countsOf }: ExplainWorld,
): PoolExplained {
  const rules = explainPool(pool, wanted, input)
  const isEligible = rules.every(({ isPassed }) => isPassed)
  return { name: pool.metadata.name, isEligible, rules, ...countsOf(pool) }
}

function countPool(
  pool: SpiderIpPool,
  { reserved, records, nowMs }: Parameters<typeof countsWith>[0],
): Pick<PoolExplained, 'counts' | 'problem'> {
  try {
    const sets = setsOfPool(pool, reserved, records, nowMs)
    const counts = {
      total: exactCount(sets.total.size),
      used: exactCount(sets.used.size),
      free: exactCount(sets.free.size + sets.resting.size),
    }
    return { counts }
  } catch (error) {
    return { problem: problemOf(error) }
  }
}
