// The set of addresses: a network with 100,000 holes, in IPv4 (a /8) and IPv6 (a /64), beside what one would write without it: a
// Set of numbers with as many holes for each address, and a search through a list of ranges. All in one run.
// Times are of the processor, not of the clock.
// Usage: npm run bench:address [-- --holes 100000] [--rounds 5] [--json]
// `growth` is how many times longer an operation takes with 10 times as many holes. At the end every set is compared with a bitmap
// of all addresses. The last line is one JSON object.
import { checkSets } from './support/address/check.ts'
import { makeNetwork, type Network, networks } from './support/address/network.ts'
import { type Figures, measureNaive, measureSet } from './support/address/operations.ts'
import { rounded } from './support/measure.ts'
import { optionsOf, whole } from './support/options.ts'

const values = optionsOf(import.meta.filename, { holes: '100000', rounds: '5', json: false })
const holes = whole('holes', values.holes, { least: 100, most: 200_000 }) // a /8 has room for so many
const rounds = whole('rounds', values.rounds, { least: 1 })

/** Of 10 times as many holes, by operation. */
function growthOf(many: Figures, few: Figures): Figures {
  return Object.fromEntries(
    Object.entries(many).map(([name, value]) => [name, rounded(value / (few[name] ?? Number.NaN), 1)]),
  )
}

const columns = [...networks].map(([name, network]) => {
  const many = makeNetwork(network, holes)
  const figures = measureSet(many, rounds)
  const growth = growthOf(figures, measureSet(makeNetwork(network, holes / 10), rounds))
  return { name, many, figures, growth }
})
const naive = measureNaive(rounds)
const checked = columns.map(({ many }: { readonly many: Network }) => checkSets(many))

if (!values.json) {
  const head = columns.map(({ name }) => `${name.padStart(14)} ${'growth'.padStart(7)}`).join('')
  process.stdout.write(`${'operation'.padEnd(34)}${head}${'naive'.padStart(14)}\n`)
  for (const name of Object.keys(columns[0]?.figures ?? {})) {
    const cells = columns.map(({ figures, growth }) => {
      return `${String(figures[name]).padStart(14)} ${String(growth[name]).padStart(7)}`
    })
    process.stdout.write(`${name.padEnd(34)}${cells.join('')}${String(naive[name] ?? '').padStart(14)}\n`)
  }
  process.stdout.write(
    `compared with a bitmap: ${checked.reduce((sum, one) => sum + one, 0)} answers are right\n`,
  )
}
const result = Object.fromEntries(columns.map(({ name, figures, growth }) => [name, { figures, growth }]))
process.stdout.write(`${JSON.stringify({ bench: 'address', holes, rounds, ...result, naive })}\n`)
