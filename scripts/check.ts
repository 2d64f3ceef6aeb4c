// `npm run check`: format, syntax lint, type-aware lint, types, layers, dead code, tidy and unit tests, in that order.
import { spawnSync } from 'node:child_process'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { runUnitTests, unitTestFiles } from './test-runner.ts'

const root = dirname(import.meta.dirname)

interface Step {
  readonly name: string
  readonly tool: string
  readonly args: readonly string[]
}

const steps = (fix: boolean): readonly Step[] => [
  {
    name: 'format and lint',
    tool: '@biomejs/biome/bin/biome',
    args: fix ? ['check', '--write', '.'] : ['check', '.'],
  },
  { name: 'types', tool: 'typescript/bin/tsc', args: ['--project', '.'] },
  { name: 'types of what src exports', tool: 'typescript/bin/tsc', args: ['--project', 'tsconfig.src.json'] },
  { name: 'lost promises', tool: 'eslint/bin/eslint.js', args: ['--max-warnings=0', '.'] },
  {
    name: 'layers',
    tool: 'dependency-cruiser/bin/dependency-cruise.mjs',
    args: ['src', '--config', '.dependency-cruiser.cjs', '--output-type', 'err'],
  },
  { name: 'dead code', tool: 'knip/bin/knip.js', args: [] },
]

/** Runs the static checks. @returns names of the failed ones */
export function staticChecks(fix: boolean): readonly string[] {
  const failed: string[] = []
  for (const { name, tool, args } of steps(fix)) {
    const startedMs = performance.now()
    const run = spawnSync(process.execPath, [join(root, 'node_modules', tool), ...args], {
      cwd: root,
      encoding: 'utf8',
    })
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(1)
    const passed = run.status === 0
    process.stdout.write(`${passed ? '✓' : '✗'} ${name} (${seconds} s)\n`)
    if (!passed) {
      failed.push(name)
      process.stdout.write(`${run.stdout}${run.stderr}\n`)
    }
  }
  return failed
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const failed = staticChecks(process.argv.includes('--fix'))
  const unit = await runUnitTests(await unitTestFiles(root), AbortSignal.timeout(10 * 60_000))
  process.exitCode = failed.length + unit.failed.length === 0 ? 0 : 1
}
