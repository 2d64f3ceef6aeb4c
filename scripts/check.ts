// `npm run check`: format, syntax lint, type-aware lint, types, layers, dead code, tidy and unit tests.
import { spawn } from 'node:child_process'
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
  { name: 'lost promises', tool: 'eslint/bin/eslint.js', args: ['--max-warnings=0', '.'] },
  { name: 'types', tool: 'typescript/bin/tsc', args: ['--project', '.'] },
  { name: 'types of what src exports', tool: 'typescript/bin/tsc', args: ['--project', 'tsconfig.src.json'] },
  {
    name: 'layers',
    tool: 'dependency-cruiser/bin/dependency-cruise.mjs',
    args: ['src', '--config', '.dependency-cruiser.cjs', '--output-type', 'err'],
  },
  { name: 'dead code', tool: 'knip/bin/knip.js', args: [] },
]

/** Runs the static checks, two at a time: each keeps one core busy. @returns names of the failed ones */
export async function staticChecks(fix: boolean): Promise<readonly string[]> {
  const failed: string[] = []
  const [format, ...others] = steps(fix)
  // With --fix it writes what the others read.
  if (format !== undefined && !(await isPassed(format))) failed.push(format.name)
  const work = async (): Promise<void> => {
    for (let step = others.shift(); step !== undefined; step = others.shift()) {
      if (!(await isPassed(step))) failed.push(step.name)
    }
  }
  await Promise.all([work(), work()])
  return failed
}

async function isPassed({ name, tool, args }: Step): Promise<boolean> {
  const startedMs = performance.now()
  const child = spawn(process.execPath, [join(root, 'node_modules', tool), ...args], { cwd: root })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
  }
  const { promise, resolve, reject } = Promise.withResolvers<number | null>()
  child.once('error', reject).once('close', resolve)
  const passed = (await promise) === 0
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1)
  process.stdout.write(`${passed ? '✓' : '✗'} ${name} (${seconds} s)\n${passed ? '' : `${output}\n`}`)
  return passed
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const failed = await staticChecks(process.argv.includes('--fix'))
  const unit = await runUnitTests(await unitTestFiles(root), AbortSignal.timeout(10 * 60_000))
  process.exitCode = failed.length + unit.failed.length === 0 ? 0 : 1
}
