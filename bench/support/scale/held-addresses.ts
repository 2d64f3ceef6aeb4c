// A ledger that is full already: pods, and blocks that say that they have the first addresses of a network.
import { formatIpValue, type IpAddress, ipOf, parseIp, toIp4, toIp6 } from '../../../src/address/index.ts'
import type { KubeApi } from '../../../src/kube/index.ts'
import { inParallel } from '../../../test/support/ipam-burst.ts'
import { HeldBlocks, heldEntry } from '../held-blocks.ts'
import type { Answers } from './answers.ts'
import { createPod } from './simulated-agents.ts'

const podsAtOnce = 64

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
  const blocks = new HeldBlocks()
  await inParallel(indexes, podsAtOnce, async (index) => {
    const ip = addressAt(held.first, index)
    const pool = poolOf(index)
    const pools = ip.version === 4 ? { ipv4: [pool] } : { ipv6: [pool] }
    const pod = await createPod(api, { name: `${prefix}-${index}`, node: nodeOf(index) }, pools)
    answers.note(pod, [formatIpValue(ip.value)])
    blocks.hold(ip, heldEntry(pod, pool, { prefixBits: held.prefixBits }))
  })
  await blocks.write(api)
}

function addressAt(first: string, index: number): IpAddress {
  const { version, value } = parseIp(first)
  return version === 4 ? ipOf(toIp4(Number(value) + index)) : ipOf(toIp6(BigInt(value) + BigInt(index)))
}
