// The set of addresses: a network with 100,000 holes, in IPv4 (a /8) and IPv6 (a /64), beside what one would write without it: a
// Set of numbers with as many holes for each address, and a search through a list of ranges. All in one run.
// Times are of the processor, not of the clock.
// Usage: npm run bench:address [-- --holes 100000] [--rounds 5] [--json]
// `growth` is how many times longer an operation takes with 10 times as many holes. At the end every set is compared with a bitmap
// of all addresses. The last line is one JSON object.
import assert from 'node:assert/strict'
import { parseArgs } from 'node:util'
import { checkSets } from './support/address/check.ts'
import { makeNetwork, type Network, networks } from './support/address/network.ts'
import { type Figures, measureNaive, measureSet } from './support/address/operations.ts'
import { rounded } from './support/measure.ts'

const { values } = parseArgs({
  options: {
    holes: { type: 'string', default: '100000' },
    rounds: { type: 'string', default: '5' },
    json: { type: 'boolean', default: false },
  },
})
const holes = Number(values.holes)
const rounds = Number(values.rounds)
assert.ok(Number.isSafeInteger(holes) && holes >= 100, `--holes is "${values.holes}": use at least 100`)
assert.ok(holes <= 200_000, `--holes is "${values.holes}": a /8 has room for 200000 of these`)
assert.ok(Number.isSafeInteger(rounds) && rounds >= 1, `--rounds is "${values.rounds}": use at least 1`)

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
