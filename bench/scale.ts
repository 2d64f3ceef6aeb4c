// How the cost of an ADD changes with the size of the pool, the number of agents, the number of allocated addresses, and the size
// of a block of the ledger.
// Usage: npm run bench:scale [-- --part pools|agents|fill|blocks] [--server real|embedded] [--rounds N] [--profile DIR]
//   pools:  [--held 2048]
//   agents: [--agents 10,100,1000] [--pods 1000] [--at-once 64]
//   fill:   [--addresses 1000,10000] [--pods 1000]
//   blocks: [--sizes 32,64,128,256] [--block-pods 3000] [--rate 300]
// Starts an API server and a controller of its own; the nodes' agents are simulated, see docs/performance.md. Without --part all parts
// run, one after the other. The last line is one JSON object.
import { oneOf, optionsOf, refuse, whole } from './support/options.ts'

const values = optionsOf(import.meta.filename, {
  part: 'pools,agents,fill,blocks',
  server: 'real',
  rounds: '',
  held: '2048',
  agents: '10,100,1000',
  pods: '1000',
  'at-once': '64',
  'block-pods': '3000',
  addresses: '1000,10000',
  rate: '300',
  sizes: '32,64,128,256',
  profile: '',
})

type Part = () => Promise<Readonly<Record<string, unknown>>>

const above0 = (name: string, text: string) => whole(name, text, { least: 1 })
const wholes = (name: 'addresses' | 'agents' | 'sizes'): readonly number[] =>
  values[name].split(',').map((text) => above0(name, text))
const rounds = (usual: number): number => (values.rounds === '' ? usual : above0('rounds', values.rounds))
// All of it before any part runs.
const [held, pods, atOnce, blockPods, rate] = [
  above0('held', values.held),
  above0('pods', values.pods),
  above0('at-once', values['at-once']),
  above0('block-pods', values['block-pods']),
  above0('rate', values.rate),
]
const [addresses, agents, sizes] = [wholes('addresses'), wholes('agents'), wholes('sizes')]
rounds(1)

const server = oneOf('server', values.server, ['real', 'embedded'])
const profileDir = values.profile === '' ? undefined : values.profile

const parts: Readonly<Record<string, Part>> = {
  pools: async () => {
    const { poolsPart } = await import('./support/scale/pools-part.ts')
    return poolsPart({ profileDir, rounds: rounds(80), held })
  },
  agents: async () => {
    const { agentsPart } = await import('./support/scale/agents-part.ts')
    return agentsPart({ profileDir, rounds: rounds(2), agents, pods, atOnce })
  },
  fill: async () => {
    const { fillPart } = await import('./support/scale/fill-part.ts')
    const levels = addresses.toSorted((a, b) => a - b)
    return fillPart({ profileDir, rounds: rounds(3), levels, pods, atOnce })
  },
  blocks: async () => {
    const { blocksPart } = await import('./support/scale/blocks-part.ts')
    return blocksPart({ sizes, pods: blockPods, perSecond: rate, singles: 512 })
  },
}

const chosen = values.part.split(',').map((name) => {
  const part = parts[name]
  return part === undefined
    ? refuse(`--part has "${name}"`, `use ${Object.keys(parts).join(', ')}`)
    : { name, part }
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
