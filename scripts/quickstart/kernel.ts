// What the kernel has: addresses, processes and packets in namespaces, read through iproute2, nsenter and /proc.
// Nothing of the product is used here, so that it cannot agree with the product by sharing its mistakes.
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs'
import { run } from './kubectl.ts'

/** One global address on a link. */
export interface KernelAddress {
  /** Path of the namespace file. */
  readonly netns: string
  readonly link: string
  readonly address: string
  readonly prefixBits: number
  readonly family: string
}

/** One address pinged from a namespace. */
export interface PingResult {
  readonly sent: number
  readonly answered: number
  /** Echo requests that the receiver's own kernel counted meanwhile. */
  readonly counted: number
  readonly averageMs: number | undefined
  readonly fastestMs: number | undefined
}

interface IpLink {
  readonly ifname?: string
  readonly addr_info?: readonly {
    readonly local?: string
    readonly prefixlen?: number
    readonly family?: string
  }[]
}

/** The namespaces that are mounted below one folder. */
export class Kernel {
  readonly #folder: string

  constructor(folder: string) {
    this.#folder = folder
  }

  /** Paths of all network namespaces below the folder. */
  namespaces(): readonly string[] {
    return readFileSync('/proc/self/mountinfo', 'utf8')
      .split('\n')
      .filter((line) => line.includes(' - nsfs '))
      .map((line) => line.split(' ')[4] ?? '')
      .filter((path) => path.startsWith(`${this.#folder}/`))
      .sort()
  }

  /** Namespaces of pods: below the folder of a node, but not the node's own. */
  podNamespaces(): readonly string[] {
    return this.namespaces().filter((path) => /\/nodes\/[^/]+\/[^/]+\/./.test(path))
  }

  /** The node that a namespace belongs to, by where its file is. */
  nodeOf(netns: string): string {
    return /\/nodes\/([^/]+)\//.exec(netns.slice(this.#folder.length))?.[1] ?? ''
  }

  /** All global addresses of the namespaces; one that went meanwhile has none. */
  async addresses(namespaces: readonly string[] = this.podNamespaces()): Promise<readonly KernelAddress[]> {
    const found: KernelAddress[] = []
    for (const netns of namespaces) {
      const args = [`--net=${netns}`, 'ip', '-j', 'address', 'show', 'scope', 'global']
      const ran = await run('nsenter', args)
      if (ran.status !== 0) continue
      for (const { ifname = '', addr_info = [] } of JSON.parse(ran.stdout) as readonly IpLink[]) {
        for (const { local = '', prefixlen = 0, family = '' } of addr_info) {
          if (local !== '') found.push({ netns, link: ifname, address: local, prefixBits: prefixlen, family })
        }
      }
    }
    return found
  }

  /** Processes in a namespace, by their command lines. */
  processesIn(netns: string): readonly string[] {
    const inode = statSync(netns).ino
    const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
    return pids.filter((pid) => isInNamespace(pid, inode)).map((pid) => `${pid} ${commandOf(pid)}`)
  }

  /** Pings from one namespace an address in another, and counts at the receiver. */
  async ping(from: string, to: { readonly netns: string; readonly address: string }): Promise<PingResult> {
    const before = await echoRequests(to.netns)
    const args = [`--net=${from}`, 'ping', '-n', '-q', '-c', '3', '-i', '0.02', '-W', '2', to.address]
    const { stdout } = await run('nsenter', args)
    const after = await echoRequests(to.netns)
    const [, sent = '0', answered = '0'] = /(\d+) packets transmitted, (\d+) received/.exec(stdout) ?? []
    const [, fastest, average] = /= ([\d.]+)\/([\d.]+)\//.exec(stdout) ?? []
    return {
      sent: Number(sent),
      answered: Number(answered),
      counted: after - before,
      averageMs: average === undefined ? undefined : Number(average),
      fastestMs: fastest === undefined ? undefined : Number(fastest),
    }
  }
}

function isInNamespace(pid: string, inode: number): boolean {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`) === `net:[${inode}]`
  } catch {
    return false // it ended meanwhile
  }
}

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim()
  } catch {
    return 'ended'
  }
}

/** InEchos of the Icmp lines in /proc/net/snmp: one line of names, one of numbers. */
async function echoRequests(netns: string): Promise<number> {
  const { stdout } = await run('nsenter', [`--net=${netns}`, 'cat', '/proc/net/snmp'])
  const [names = [], numbers = []] = stdout
    .split('\n')
    .filter((line) => line.startsWith('Icmp:'))
    .map((line) => line.split(' '))
  return Number(numbers[names.indexOf('InEchos')] ?? Number.NaN)
}
