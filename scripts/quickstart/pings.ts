// Packets between pods and gateways, counted where they arrive.
import type { Check, Sight } from './check.ts'
import type { KernelAddress, PingResult } from './kernel.ts'

export type PingKind = 'same node' | 'across nodes' | 'pod to gateway' | 'gateway to pod'

interface Place {
  readonly label: string
  readonly node: string
  readonly at: KernelAddress
}

export interface PingRow {
  readonly kind: PingKind
  readonly from: string
  readonly to: string
  readonly result: PingResult
}

const maxPairs = 30

/** All ways that packets can go now: between pods of one network, and between pods and its gateway. */
async function findWays({ kernel }: Sight): Promise<readonly { from: Place; to: Place; kind: PingKind }[]> {
  const pods = (await kernel.addresses()).filter(({ family }) => family === 'inet')
  const own = new Set(kernel.podNamespaces())
  const others = kernel.namespaces().filter((path) => !own.has(path) && kernel.nodeOf(path) === '')
  const gateways = (await kernel.addresses(others)).filter(({ family }) => family === 'inet')
  const podPlaces = pods.map((at) => {
    const node = kernel.nodeOf(at.netns)
    return { label: `${at.address} ${at.link} (${node})`, node, at }
  })
  const gatewayPlaces = gateways.map((at) => ({ label: `${at.address} gateway`, node: '', at }))
  const ways: { from: Place; to: Place; kind: PingKind }[] = []
  for (const from of podPlaces) {
    for (const to of podPlaces.filter(
      (pod) => pod.at.netns !== from.at.netns && isOneNetwork(pod.at, from.at),
    ))
      ways.push({ from, to, kind: from.node === to.node ? 'same node' : 'across nodes' })
    for (const gateway of gatewayPlaces.filter((place) => isOneNetwork(place.at, from.at))) {
      ways.push(
        { from, to: gateway, kind: 'pod to gateway' },
        { from: gateway, to: from, kind: 'gateway to pod' },
      )
    }
  }
  return ways.slice(0, maxPairs)
}

/** IPv4: the prefixes are equal. */
function isOneNetwork(a: KernelAddress, b: KernelAddress): boolean {
  const bits = (ip: string) =>
    ip
      .split('.')
      .map((part) => Number(part).toString(2).padStart(8, '0'))
      .join('')
  const { prefixBits } = a
  return (
    prefixBits === b.prefixBits &&
    bits(a.address).slice(0, prefixBits) === bits(b.address).slice(0, prefixBits)
  )
}

/** Each ping that was sent is answered, and counted by the receiver. */
export function pingCheck(needed: readonly PingKind[], take: (rows: readonly PingRow[]) => void): Check {
  return {
    name: `pings arrive: ${needed.join(', ')}`,
    expected:
      'at least one way of each of these kinds, and on each as many pings answered and counted as sent',
    look: 'spiderpoolctl lab exec POD -- ip neighbour',
    withinMs: 10_000,
    probe: async (sight) => {
      const rows: PingRow[] = []
      for (const { from, to, kind } of await findWays(sight)) {
        const result = await sight.kernel.ping(from.at.netns, { netns: to.at.netns, address: to.at.address })
        rows.push({ kind, from: from.label, to: to.label, result })
      }
      const lost = rows.filter(
        ({ result }) => result.sent === 0 || result.answered !== result.sent || result.counted < result.sent,
      )
      const missing = needed.filter((kind) => !rows.some((row) => row.kind === kind))
      if (lost.length > 0 || missing.length > 0) {
        const lines = [...lost.map(showRow), ...missing.map((kind) => `no way of the kind: ${kind}`)]
        return { isSo: false, what: `\n${lines.join('\n')}` }
      }
      take(rows)
      const sent = rows.reduce((sum, { result }) => sum + result.sent, 0)
      const counted = rows.reduce((sum, { result }) => sum + result.counted, 0)
      return { isSo: true, what: `${rows.length} ways, ${sent} sent, ${counted} counted by the receivers` }
    },
  }
}

function showRow({ kind, from, to, result }: PingRow): string {
  const { sent, answered, counted } = result
  return `${kind}: ${from} to ${to}: ${sent} sent, ${answered} answered, ${counted} counted by the receiver`
}

/** The rows as a table. */
export function pingTable(rows: readonly PingRow[]): readonly string[] {
  const time = (ms: number | undefined) => (ms === undefined ? '-' : ms.toFixed(3))
  const cells = rows.map(({ kind, from, to, result }) => [
    kind,
    from,
    to,
    String(result.sent),
    String(result.answered),
    String(result.counted),
    time(result.fastestMs),
    time(result.averageMs),
  ])
  const table = [['KIND', 'FROM', 'TO', 'SENT', 'ANSWERED', 'COUNTED', 'FASTEST ms', 'AVERAGE ms'], ...cells]
  const widths = table[0]?.map((_, column) => Math.max(...table.map((row) => row[column]?.length ?? 0))) ?? []
  return table.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  )
}
