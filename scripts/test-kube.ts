// `npm run test:kube`: the integration suite on a real control plane, and the table of both servers.
// Last line: "N passed, N failed".
import { spawnSync } from 'node:child_process'
import { mkdir, rm } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { controlPlaneBinaries } from '../test/support/control-plane/binaries.ts'
import { compareColumns } from './server-columns.ts'
import { setUpMachine } from './setup.ts'
import { apiServerTestFiles, lanes, readColumn, runIntegrationTests, writeColumn } from './test-runner.ts'

const root = dirname(import.meta.dirname)
const budgetMs = 40 * 60_000

const say = (line: string): void => void process.stdout.write(`${line}\n`)

setUpMachine()
const bin = controlPlaneBinaries(say)
const files = await apiServerTestFiles(root)
const auditDir = join(root, 'build', 'audit')
await rm(auditDir, { recursive: true, force: true })
await mkdir(auditDir, { recursive: true })
const outcome = await runIntegrationTests('on a real API server', files, {
  signal: AbortSignal.timeout(budgetMs),
  beside: lanes.real,
  env: {
    SPIDERPOOL_TEST_SERVER: 'real',
    SPIDERPOOL_AUDIT_DIR: auditDir,
    KUBECTL: join(bin, 'kubectl'),
    HELM: join(bin, 'helm'),
  },
})
await writeColumn(root, 'real', outcome.results)
const failed = [...outcome.failed]
const embedded = await readColumn(root, 'embedded')
if (embedded === undefined) say('! the embedded column is not here: "npm test" in this folder fills it')
const names = files.map((file) => relative(root, file))
const { lines, problems } = compareColumns(embedded ?? [], outcome.results, names)
for (const line of lines) say(line)
if (embedded !== undefined) failed.push(...problems)
const rights = spawnSync(process.execPath, [join(import.meta.dirname, 'rights-report.ts')], {
  encoding: 'utf8',
})
say(`${rights.stdout}${rights.stderr}`)
if (rights.status !== 0) failed.push('each right is used, and no request is forbidden (see the report above)')
for (const title of failed) say(`failed: ${title}`)
process.exitCode = failed.length === 0 ? 0 : 1
const passed = outcome.passed + (rights.status === 0 ? 1 : 0)
say(`${passed} passed, ${failed.length} failed`)
