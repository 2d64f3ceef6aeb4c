// Random histories on an installation of real processes: pods and sandboxes come and go, calls are lost, late, doubled and parallel,
// pools change, and controllers and agents are killed. HISTORY_SEED=N runs the one with that seed alone.
import { after, before, test } from 'node:test'
import { History } from '../support/history/history.ts'
import { ProcessRig } from '../support/process-rig.ts'
import { serverUnderTest } from '../support/server-under-test.ts'

/** test/simulation/ runs ten thousand in one process: these show that real processes do the same. */
const count = serverUnderTest === 'real' ? 50 : 3
/** So many at once: each waits for most of its time until nodes have reported. */
const atOnce = 8

let rig: ProcessRig
before(async () => {
  rig = await ProcessRig.start(['node1', 'node2'])
})
after(() => rig?.[Symbol.asyncDispose]())

const asked = process.env['HISTORY_SEED']
const seeds = asked === undefined ? Array.from({ length: count }, (_, n) => n + 1) : [Number(asked)]

void test('random histories with real processes double no address, forget none and leak none', async (t) => {
  const left = [...seeds]
  const total = { acked: 0, failed: 0, repeated: 0 }
  const lane = async (): Promise<void> => {
    for (let seed = left.shift(); seed !== undefined; seed = left.shift()) {
      const history = new History(rig, seed)
      await history.run()
      for (const key of ['acked', 'failed', 'repeated'] as const) total[key] += history.model.counts[key]
    }
  }
  await Promise.all(Array.from({ length: atOnce }, lane))
  t.diagnostic(`${seeds.length} histories: ${JSON.stringify(total)}`)
})
