// How the cost of an ADD changes with the size of the pool, the number of agents, the number of allocated addresses, and the size
// of a block of the ledger.
// Usage: npm run bench:scale [-- --part pools|agents|fill|blocks] [--server real|embedded] [--rounds N] [--profile DIR]
//   pools:  [--held 2048]
//   agents: [--agents 10,100,1000] [--pods 1000] [--at-once 64]
//   fill:   [--addresses 1000,10000] [--pods 1000]
//   blocks: [--sizes 32,64,128,256] [--block-pods 3000] [--rate 300]
// Starts an API server and a controller of its own; the nodes' agents are simulated, see docs/performance.md. Without --part all parts
// run, one after the other. The last line is one JSON object.
import assert from 'node:assert/strict'
import { parseArgs } from 'node:util'

const { values } = parseArgs({
  options: {
    part: { type: 'string', default: 'pools,agents,fill,blocks' },
    server: { type: 'string', default: 'real' },
    rounds: { type: 'string' },
    held: { type: 'string', default: '2048' },
    agents: { type: 'string', default: '10,100,1000' },
    pods: { type: 'string', default: '1000' },
    'at-once': { type: 'string', default: '64' },
    'block-pods': { type: 'string', default: '3000' },
    addresses: { type: 'string', default: '1000,10000' },
    rate: { type: 'string', default: '300' },
    sizes: { type: 'string', default: '32,64,128,256' },
    profile: { type: 'string' },
  },
})

type Part = () => Promise<Readonly<Record<string, unknown>>>

function whole(name: string, text: string): number {
  const value = Number(text)
  assert.ok(Number.isSafeInteger(value) && value > 0, `--${name} has "${text}": use whole numbers above 0`)
  return value
}

const wholes = (name: 'addresses' | 'agents' | 'sizes'): readonly number[] =>
  values[name].split(',').map((text) => whole(name, text))
const rounds = (usual: number): number =>
  values.rounds === undefined ? usual : whole('rounds', values.rounds)

const { server, profile: profileDir } = values
assert.ok(server === 'real' || server === 'embedded', `--server is "${server}": use real or embedded`)

const parts: Readonly<Record<string, Part>> = {
  pools: async () => {
    const { poolsPart } = await import('./support/scale/pools-part.ts')
    return poolsPart({ profileDir, rounds: rounds(80), held: whole('held', values.held) })
  },
  agents: async () => {
    const { agentsPart } = await import('./support/scale/agents-part.ts')
    const [pods, atOnce] = [whole('pods', values.pods), whole('at-once', values['at-once'])]
    return agentsPart({ profileDir, rounds: rounds(2), agents: wholes('agents'), pods, atOnce })
  },
  fill: async () => {
    const { fillPart } = await import('./support/scale/fill-part.ts')
    const [pods, atOnce] = [whole('pods', values.pods), whole('at-once', values['at-once'])]
    const levels = wholes('addresses').toSorted((a, b) => a - b)
    return fillPart({ profileDir, rounds: rounds(3), levels, pods, atOnce })
  },
  blocks: async () => {
    const { blocksPart } = await import('./support/scale/blocks-part.ts')
    const [pods, perSecond] = [whole('block-pods', values['block-pods']), whole('rate', values.rate)]
    return blocksPart({ sizes: wholes('sizes'), pods, perSecond, singles: 512 })
  },
}

const chosen = values.part.split(',').map((name) => {
  const part = parts[name]
  assert.ok(part !== undefined, `--part has "${name}": use ${Object.keys(parts).join(', ')}`)
  return { name, part }
})

// The harness reads it when it is loaded, which the parts do.
process.env['SPIDERPOOL_TEST_SERVER'] = server
const results: Record<string, unknown> = { bench: 'scale', server }
for (const { name, part } of chosen) {
  const result = await part()
  results[name] = result
  process.stdout.write(`${tableOf(result)}\n\n`)
}
process.stdout.write(`${JSON.stringify(results)}\n`)

/** Lists of objects as tables, all else as one line each. */
function tableOf(result: Readonly<Record<string, unknown>>): string {
  const lines = Object.entries(result).map(([name, value]) => {
    if (Array.isArray(value))
      return `${name}:\n${columns(value as readonly Readonly<Record<string, unknown>>[])}`
    return `${name.padEnd(34)} ${typeof value === 'object' ? JSON.stringify(value) : value}`
  })
  return lines.join('\n')
}

function columns(rows: readonly Readonly<Record<string, unknown>>[]): string {
  const flat = rows.map((row) => Object.entries(row).flatMap(([name, value]) => cells(name, value)))
  const names = (flat[0] ?? []).map(([name]) => name)
  const lines = [names, ...flat.map((row) => row.map(([, text]) => text))]
  const widths = names.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)))
  return lines
    .map((line) => `  ${line.map((text, column) => text.padStart(widths[column] ?? 0)).join('  ')}`)
    .join('\n')
}

/** Objects within a row become columns of their own. */
function cells(name: string, value: unknown): readonly (readonly [string, string])[] {
  if (typeof value !== 'object' || value === null) return [[name, String(value)]]
  return Object.entries(value).map(([inner, one]) => [`${name}.${inner}`, String(one)])
}
