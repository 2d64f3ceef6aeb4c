// `npm test`: sets up what the tests need, then static checks, unit tests and integration tests.
// Last line: "N passed, N failed" (a static check counts as one test).
import { dirname } from 'node:path'
import { staticChecks } from './check.ts'
import { setUpMachine } from './setup.ts'
import { integrationTestFiles, runTests, unitTestFiles } from './test-runner.ts'

const root = dirname(import.meta.dirname)
const staticCheckCount = 6

setUpMachine()
const staticFailed = staticChecks(false)
const unit = await runTests('unit', await unitTestFiles(root), 2)
// One at a time: they share the kernel, and what they measure.
const integration = await runTests('integration', await integrationTestFiles(root), 1)
const failed = [...staticFailed, ...unit.failed, ...integration.failed]
const passed = unit.passed + integration.passed + staticCheckCount - staticFailed.length
const skipped = unit.skipped.length + integration.skipped.length
for (const title of failed) process.stdout.write(`failed: ${title}\n`)
process.exitCode = failed.length === 0 ? 0 : 1
const notRun = skipped === 0 ? '' : `, ${skipped} skipped`
process.stdout.write(`${passed} passed, ${failed.length} failed${notRun}\n`)
