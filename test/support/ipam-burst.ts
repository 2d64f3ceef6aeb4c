// Many calls of the real plugin executable at the agents of a lab, as a container runtime makes them, and what came of each.
import { spawn } from 'node:child_process'
import { join } from 'node:path'

/** One attachment: a pod on a node, and its sandbox. */
export interface Sandbox {
  readonly pod: string
  readonly node: string
  readonly containerId: string
}

export interface CallResult extends Sandbox {
  readonly exitCode: number | null
  /** Addresses of an ADD that succeeded. */
  readonly ips: readonly string[]
  /** What the plugin printed, when it failed. */
  readonly output: string
  readonly tookMs: number
  readonly endedMs: number
}

const callLimitMs = 110_000

/** Executes the IPAM plugin once, with a network namespace that is not the node's own. */
export function callPlugin(labDir: string, command: 'ADD' | 'DEL', sandbox: Sandbox, netns: string) {
  const nodeDir = join(labDir, 'nodes', sandbox.node)
  const startedMs = performance.now()
  const child = spawn(join(nodeDir, 'cni/bin/spiderpool'), [], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: {
      CNI_COMMAND: command,
      CNI_CONTAINERID: sandbox.containerId,
      CNI_NETNS: netns,
      CNI_IFNAME: 'eth0',
      CNI_PATH: '/usr/lib/cni',
      CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=${sandbox.pod}`,
      SPIDERPOOL_AGENT_SOCKET: join(nodeDir, 'agent.sock'),
      SPIDERPOOL_SPOOL_DIR: join(nodeDir, 'agent/spool'),
    },
  })
  const limit = setTimeout(() => child.kill('SIGKILL'), callLimitMs)
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString()
    })
  }
  const config = { cniVersion: '1.0.0', name: 'burst', type: 'macvlan', ipam: { type: 'spiderpool' } }
  child.stdin.on('error', () => undefined)
  child.stdin.end(JSON.stringify(config))
  const { promise, resolve, reject } = Promise.withResolvers<CallResult>()
  child.once('error', reject)
  child.once('close', (exitCode) => {
    clearTimeout(limit)
    const endedMs = performance.now()
    const ips = exitCode === 0 && command === 'ADD' ? addressesOf(output) : []
    resolve({ ...sandbox, exitCode, ips, output, tookMs: endedMs - startedMs, endedMs })
  })
  return promise
}

function addressesOf(output: string): readonly string[] {
  const { ips } = JSON.parse(output) as { readonly ips: readonly { readonly address: string }[] }
  return ips.map(({ address }) => address.split('/')[0] ?? '')
}

/** Calls for all sandboxes, `atOnce` under way at any time; `onDone` hears of each as it ends. */
export async function inParallel<T, R>(
  items: readonly T[],
  atOnce: number,
  work: (item: T) => Promise<R>,
): Promise<readonly R[]> {
  const results: R[] = []
  const queue = items.entries()
  const runner = async () => {
    for (const [index, item] of queue) results[index] = await work(item)
  }
  await Promise.all(Array.from({ length: atOnce }, runner))
  return results
}

/** Longest time between two answers that followed each other. */
export function longestPauseMs(endedMs: readonly number[]): number {
  const sorted = endedMs.toSorted((a, b) => a - b)
  return Math.max(0, ...sorted.slice(1).map((ms, index) => ms - (sorted[index] ?? ms)))
}
