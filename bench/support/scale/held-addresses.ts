// A ledger that is full already: pods, and blocks that say that they have the first addresses of a network.
import {
  blockOf,
  formatCidr,
  formatIpValue,
  type IpAddress,
  ipOf,
  parseIp,
  toIp4,
  toIp6,
} from '../../../src/address/index.ts'
import { type BlockEntry, resources, type SpiderIpBlock } from '../../../src/api/index.ts'
import type { KubeApi } from '../../../src/kube/index.ts'
import { blockSizes, formatBlock, formatEntry } from '../../../src/ledger/index.ts'
import { inParallel } from '../../../test/support/ipam-burst.ts'
import type { Answers } from './answers.ts'
import { type BenchPod, containerIdOf, createPod } from './simulated-agents.ts'

const never = new AbortController().signal
const podsAtOnce = 64
const blocksAtOnce = 16

export interface Held {
  /** Names of the pods begin with it. */
  readonly prefix: string
  /** Address of pod 0. */
  readonly first: string
  /** Numbers of the pods: `from` up to `to`, which is left out. */
  readonly from: number
  readonly to: number
  readonly prefixBits: number
  readonly nodeOf: (index: number) => string
  readonly poolOf: (index: number) => string
}

/**
 * Makes pods and the blocks of their addresses: pod `index` has the address `first` + `index`. No controller may run meanwhile: it
 * is the only one that writes blocks.
 */
export async function holdAddresses(api: KubeApi, held: Held, answers: Answers): Promise<void> {
  const { prefix, from, to, nodeOf, poolOf } = held
  const indexes = Array.from({ length: to - from }, (_, index) => from + index)
  const blocks = new Map<string, SpiderIpBlock>()
  await inParallel(indexes, podsAtOnce, async (index) => {
    const ip = addressAt(held.first, index)
    const pool = poolOf(index)
    const pools = ip.version === 4 ? { ipv4: [pool] } : { ipv6: [pool] }
    const pod = await createPod(api, { name: `${prefix}-${index}`, node: nodeOf(index) }, pools)
    const text = formatIpValue(ip.value)
    answers.note(pod, [text])
    const block = blockOf(ip, blockSizes)
    const known = blocks.get(block.name) ?? formatBlock(block, { term: 1, entries: {} })
    const entries = { ...known.spec.entries, [text]: formatEntry(entryOf(pod, pool, held.prefixBits)) }
    blocks.set(block.name, { ...known, spec: { ...known.spec, cidr: formatCidr(block.cidr), entries } })
  })
  await inParallel([...blocks.values()], blocksAtOnce, (block) => write(api, block))
}

/** The last block of an earlier call may have room. */
async function write(api: KubeApi, block: SpiderIpBlock): Promise<void> {
  const ref = { name: block.metadata.name }
  const found = await api.get<SpiderIpBlock>(resources.ipBlock, ref, never)
  if (found === undefined) {
    await api.create(resources.ipBlock, block, never)
    return
  }
  const body = { spec: { entries: block.spec.entries } }
  await api.patch(resources.ipBlock, ref, { type: 'merge', body }, never)
}

function addressAt(first: string, index: number): IpAddress {
  const { version, value } = parseIp(first)
  return version === 4 ? ipOf(toIp4(Number(value) + index)) : ipOf(toIp6(BigInt(value) + BigInt(index)))
}

function entryOf(pod: BenchPod, pool: string, prefixBits: number): BlockEntry {
  return {
    pool,
    nic: 'eth0',
    owner: { kind: 'pod', uid: pod.uid },
    pod: `default/${pod.name}`,
    podUid: pod.uid,
    node: pod.node,
    attachments: [{ containerId: containerIdOf(pod), node: pod.node, active: true }],
    createdBy: { containerId: containerIdOf(pod), ifName: 'eth0' },
    since: Date.now(),
    grant: { prefixBits },
  }
}
