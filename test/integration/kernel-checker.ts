// Compares what the product claims with what the kernel has. Shares no code with the product: it reads the kernel through
// iproute2 and nsenter, and the claims through kubectl.
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

/** What has not ended by then never will: a test that waits in a synchronous call cannot be interrupted, and holds up all. */
export const commandBudgetMs = 180_000
const bounded = {
  timeout: commandBudgetMs,
  killSignal: 'SIGKILL',
  encoding: 'utf8',
  maxBuffer: 1 << 29,
} as const

/** One address on a link of a namespace, as the kernel reports it. */
export interface KernelAddress {
  readonly namespace: string // path of the namespace file
  readonly link: string
  readonly address: string
}

/** Paths of all network namespaces mounted below `folder`. */
export function namespacePaths(folder: string): readonly string[] {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => line.includes(' - nsfs '))
    .map((line) => line.split(' ')[4] ?? '')
    .filter((path) => path.startsWith(`${folder}/`))
    .sort()
}

/** All global addresses of the given namespaces, read by one shell. */
export function kernelAddresses(paths: readonly string[]): readonly KernelAddress[] {
  const script =
    'while read -r p; do printf "%s\\t" "$p"; nsenter --net="$p" ip -j addr show scope global; echo; done'
  const output = execFileSync('sh', ['-c', script], {
    ...bounded,
    input: `${paths.join('\n')}\n`,
  })
  const found: KernelAddress[] = []
  for (const line of output.split('\n')) {
    const [namespace, json] = line.split('\t')
    if (namespace === undefined || json === undefined || json.trim() === '') continue
    const links = JSON.parse(json) as { ifname?: string; addr_info?: { local?: string; scope?: string }[] }[]
    for (const { ifname, addr_info } of links) {
      for (const { local } of addr_info ?? []) {
        if (ifname !== undefined && local !== undefined)
          found.push({ namespace, link: ifname, address: local })
      }
    }
  }
  return found
}

/** Addresses that stand on more than one link. */
export function doubledAddresses(addresses: readonly KernelAddress[]): readonly string[] {
  const seen = new Map<string, number>()
  for (const { address } of addresses) seen.set(address, (seen.get(address) ?? 0) + 1)
  return [...seen].filter(([, count]) => count > 1).map(([address]) => address)
}

interface KubectlList<T> {
  readonly items: readonly T[]
}

/** One address as a SpiderIPBlock object records it. */
export interface RecordedAddress {
  readonly address: string
  readonly pod: string
  readonly podUid: string
  readonly nic: string
}

/** `kubectl get -o json`, parsed. */
export function kubectlJson<T>(kubectl: string, kubeconfig: string, args: readonly string[]): T {
  const env = { ...process.env, KUBECONFIG: kubeconfig }
  return JSON.parse(execFileSync(kubectl, [...args, '-o', 'json'], { env, ...bounded })) as T
}

/** What the durable ledger says, read with kubectl. */
export function recordedAddresses(kubectl: string, kubeconfig: string): readonly RecordedAddress[] {
  interface Block {
    spec: { entries?: Record<string, string> }
  }
  const { items } = kubectlJson<KubectlList<Block>>(kubectl, kubeconfig, ['get', 'spideripblocks'])
  return items.flatMap(({ spec }) =>
    Object.entries(spec.entries ?? {}).map(([address, text]) => {
      const { pod, podUid, nic } = JSON.parse(text) as Omit<RecordedAddress, 'address'>
      return { address, pod, podUid, nic }
    }),
  )
}

/** Packets of `count` pings from a namespace that came back. */
export function pings(namespace: string, target: string, count = 1): number {
  try {
    const args = [`--net=${namespace}`, 'ping', '-n', '-c', String(count), '-i', '0.05', '-W', '2', target]
    const output = execFileSync('nsenter', args, bounded)
    return Number(/(\d+) received/.exec(output)?.[1] ?? 0)
  } catch (error) {
    const output = String((error as { stdout?: unknown }).stdout ?? '')
    return Number(/(\d+) received/.exec(output)?.[1] ?? 0)
  }
}
