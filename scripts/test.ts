// `npm test`: sets up what the tests need, then static checks, unit tests and integration tests.
// Last line: "N passed, N failed" (a static check counts as one test).
import { dirname } from 'node:path'
import { whyNoControlPlane } from '../test/support/control-plane/binaries.ts'
import { staticChecks } from './check.ts'
import { setUpMachine } from './setup.ts'
import {
  integrationTestFiles,
  lanes,
  runIntegrationTests,
  runUnitTests,
  unitTestFiles,
  writeColumn,
} from './test-runner.ts'

const root = dirname(import.meta.dirname)
const staticCheckCount = 6
const unitBudgetMs = 10 * 60_000
const integrationBudgetMs = 20 * 60_000

setUpMachine()
const staticFailed = await staticChecks(false)
const unit = await runUnitTests(await unitTestFiles(root), AbortSignal.timeout(unitBudgetMs))
const integration = await runIntegrationTests('integration', await integrationTestFiles(root), {
  signal: AbortSignal.timeout(integrationBudgetMs),
  beside: lanes.embedded,
})
await writeColumn(root, 'embedded', integration.results)
const failed = [...staticFailed, ...unit.failed, ...integration.failed]
const passed = unit.passed + integration.passed + staticCheckCount - staticFailed.length
const skipped = unit.skipped.length + integration.skipped.length
for (const title of failed) process.stdout.write(`failed: ${title}\n`)
const why = whyNoControlPlane()
const real = why === undefined ? 'npm run test:kube runs the suite on one' : `it cannot be here: ${why}`
process.stdout.write(`! NOT RUN on a real API server: ${real}\n`)
process.exitCode = failed.length === 0 ? 0 : 1
const notRun = skipped === 0 ? '' : `, ${skipped} skipped`
process.stdout.write(`${passed} passed, ${failed.length} failed${notRun}\n`)
