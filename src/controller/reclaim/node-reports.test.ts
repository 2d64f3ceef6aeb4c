import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { NodeReport } from '../../api/index.ts'
import { NodeReports } from './node-reports.ts'
import type { SandboxEvidence } from './plan-reclaim.ts'

const list = (...containerIds: readonly string[]) =>
  containerIds.map((containerId) => ({ containerId, ifName: 'eth0' }))
const report = (takenAtMs: number, answeredMs: number, ...containerIds: readonly string[]): NodeReport => ({
  takenAtMs,
  answeredMs,
  alive: list(...containerIds),
})

/** {@link NodeReports}, each call at a time of its own by their clock. */
class TimedReports {
  #nowMs = 0
  readonly #reports = new NodeReports({ monotonicMs: () => this.#nowMs })

  add(node: string, one: NodeReport, nowMs: number): void {
    this.#nowMs = nowMs
    this.#reports.add(node, one)
  }

  evidence(node: string, containerId: string, sinceMs: number, nowMs: number): SandboxEvidence {
    this.#nowMs = nowMs
    return this.#reports.evidence(node, containerId, sinceMs)
  }
}

void test('a node that never reported is unknown', () => {
  assert.equal(new TimedReports().evidence('node1', 'c1', 100, 100), 'unknown')
})

void test('a report convicts only when the one before it arrived after the nomination', () => {
  const reports = new TimedReports()
  reports.add('node1', report(1, 0), 90)
  assert.equal(
    reports.evidence('node1', 'c1', 80, 90),
    'unknown',
    'taken before it arrived, nobody knows when',
  )
  reports.add('node1', report(2, 1), 110)
  assert.equal(reports.evidence('node1', 'c1', 100, 110), 'unknown', 'it may have been taken at 91')
  assert.equal(reports.evidence('node1', 'c1', 80, 110), 'gone')
  reports.add('node1', report(3, 2), 120)
  assert.equal(reports.evidence('node1', 'c1', 100, 120), 'gone')
  assert.equal(reports.evidence('node1', 'c1', 110, 120), 'unknown', 'the nomination may be the later one')
  assert.equal(reports.evidence('node2', 'c1', 80, 120), 'unknown')
})

void test('a sandbox that is listed is alive', () => {
  const reports = new TimedReports()
  reports.add('node1', report(1, 0, 'c1'), 90)
  reports.add('node1', report(2, 1, 'c1', 'c2'), 110)
  assert.equal(reports.evidence('node1', 'c1', 80, 110), 'alive')
  assert.equal(reports.evidence('node1', 'c3', 80, 110), 'gone')
})

void test('reports that were held up and arrive together convict nobody', () => {
  const reports = new TimedReports()
  // The agent lost patience with each: it begins the next without an answer.
  for (const takenAtMs of [1, 2, 3]) reports.add('node1', report(takenAtMs, 0), 200)
  assert.equal(reports.evidence('node1', 'c1', 150, 200), 'unknown')
})

void test('a straggler that is overtaken by a later report proves no more than when it was taken', () => {
  const reports = new TimedReports()
  reports.add('node1', report(1, 0), 10)
  reports.add('node1', report(3, 1, 'c1'), 200)
  reports.add('node1', report(2, 1), 210)
  assert.equal(reports.evidence('node1', 'c1', 100, 210), 'unknown')
  reports.add('node1', report(4, 3, 'c1'), 220)
  assert.equal(reports.evidence('node1', 'c1', 100, 220), 'alive')
})

void test('the first report of an agent that restarted, or to a new leader, convicts nobody', () => {
  const restarted = new TimedReports()
  restarted.add('node1', report(1, 0), 110)
  restarted.add('node1', report(2, 0), 120)
  assert.equal(restarted.evidence('node1', 'c1', 100, 120), 'unknown')
  const newLeader = new TimedReports()
  newLeader.add('node1', report(2, 1), 120)
  assert.equal(newLeader.evidence('node1', 'c1', 100, 120), 'unknown')
  newLeader.add('node1', report(3, 2), 130)
  assert.equal(newLeader.evidence('node1', 'c1', 100, 130), 'gone')
})

void test('a clock of the node that is years off, or set back, changes nothing', () => {
  const reports = new TimedReports()
  reports.add('node1', report(4e12, 0), 110)
  reports.add('node1', report(5, 4e12), 120)
  assert.equal(reports.evidence('node1', 'c1', 100, 120), 'gone')
  reports.add('node1', report(6, 5), 130)
  assert.equal(reports.evidence('node1', 'c1', 115, 130), 'gone')
})

void test('of a report that arrives twice the first arrival counts', () => {
  const reports = new TimedReports()
  reports.add('node1', report(1, 0), 90)
  reports.add('node1', report(1, 0), 110)
  reports.add('node1', report(2, 1), 120)
  assert.equal(reports.evidence('node1', 'c1', 100, 120), 'unknown')
})

void test('a node that fell silent is not taken to be alive for ever', () => {
  const reports = new TimedReports()
  reports.add('node1', report(1, 0, 'c1'), 1_000)
  assert.equal(reports.evidence('node1', 'c1', 500, 31_000), 'alive')
  assert.equal(reports.evidence('node1', 'c1', 500, 62_000), 'unknown')
})

void test('whatever is lost, late, repeated or restarted: who is gone was looked for after the nomination', () => {
  const steps = fc.array(
    fc.record({
      waitMs: fc.integer({ min: 1, max: 50 }),
      kind: fc.constantFrom('take', 'take', 'deliver', 'deliver', 'answer', 'giveUp', 'restart', 'repeat'),
      skewMs: fc.integer({ min: -40, max: 40 }),
      at: fc.nat(3),
    }),
    { maxLength: 60 },
  )
  const law = fc.property(steps, fc.integer({ min: 0, max: 2_000 }), (run, sinceMs) => {
    const reports = new TimedReports()
    let [nowMs, skewMs, answeredMs] = [0, 10_000, 0]
    let asking: NodeReport | undefined
    let inFlight: { readonly report: NodeReport; readonly trulyMs: number }[] = []
    const arrived = new Set<NodeReport>()
    let lastTrulyMs = -1
    for (const step of run) {
      nowMs += step.waitMs
      if (step.kind === 'take' && asking === undefined) {
        skewMs += step.skewMs
        asking = { takenAtMs: nowMs + skewMs, answeredMs, alive: [] }
        inFlight.push({ report: asking, trulyMs: nowMs })
      } else if (step.kind === 'deliver' || step.kind === 'repeat') {
        const flying = inFlight[step.at % Math.max(1, inFlight.length)]
        if (flying === undefined) continue
        reports.add('n', flying.report, nowMs)
        arrived.add(flying.report)
        lastTrulyMs = flying.trulyMs
        if (step.kind === 'deliver') inFlight = inFlight.filter((one) => one !== flying)
      } else if (step.kind === 'answer' && asking !== undefined && arrived.has(asking)) {
        answeredMs = asking.takenAtMs
        asking = undefined
      } else if (step.kind === 'giveUp') asking = undefined
      else if (step.kind === 'restart') {
        asking = undefined
        answeredMs = 0
      }
      if (reports.evidence('n', 'c', sinceMs, nowMs) === 'gone') assert.ok(lastTrulyMs > sinceMs)
    }
  })
  fc.assert(law, { numRuns: 2_000 })
})

void test('of more nodes than fit the longest silent one is forgotten', () => {
  const reports = new TimedReports()
  for (let i = 0; i <= 20_000; i++) reports.add(`node${i}`, report(1, 0, 'c1'), 100)
  assert.equal(reports.evidence('node0', 'c1', 50, 100), 'unknown')
  assert.equal(reports.evidence('node1', 'c1', 50, 100), 'alive')
})
