import { glob, mkdir, readFile, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { run } from 'node:test'
import { freeHungFile } from './hung-file.ts'

/** One test and how it ended. `elsewhere`: it is of a feature that the other API server has alone. */
export interface Result {
  readonly file: string
  readonly name: string
  readonly kind: 'passed' | 'failed' | 'not-run' | 'elsewhere'
  /** Why it was not run here. */
  readonly reason: string
}

/** Outcome of a set of test files. */
export interface Outcome {
  readonly passed: number
  readonly failed: readonly string[]
  readonly skipped: readonly string[]
  readonly results: readonly Result[]
}

interface RunOptions {
  /** How many files at once. */
  readonly concurrency: number
  /** What has not ended when it aborts fails. */
  readonly signal: AbortSignal
  /** Beside those of this process. */
  readonly env?: Readonly<Record<string, string>>
}

/** A file that has this line needs a lab, but mostly waits for deadlines: others may run beside it. */
const waitsMark = '\n// mostly waits\n'
/** A file that has this line only waits, and takes no part of the machine. */
const idleMark = '\n// only waits\n'
const fileBudgetMs = 400_000
const freedBudgetMs = 100_000 // for the hooks that clear up
const slowFileSeconds = 5 // what takes longer is said: the whole has a budget
const elsewhere = /^only on (embedded|real): /

async function filesOf(root: string, patterns: readonly string[]): Promise<readonly string[]> {
  const found: string[] = []
  for (const pattern of patterns) {
    for await (const file of glob(pattern, { cwd: root })) found.push(join(root, file))
  }
  return found.sort()
}

/** Tests that need neither root nor the kernel: beside the code, and the tidy checks. */
export function unitTestFiles(root: string): Promise<readonly string[]> {
  return filesOf(root, ['src/**/*.test.ts', 'test/*.test.ts', 'test/simulation/*.test.ts'])
}

/** Tests with real namespaces, packets and processes. */
export function integrationTestFiles(root: string): Promise<readonly string[]> {
  return filesOf(root, ['test/integration/*.test.ts'])
}

/** Those of {@link integrationTestFiles} that need an API server: they run on the embedded one and on a real one. */
export async function apiServerTestFiles(root: string): Promise<readonly string[]> {
  const found: string[] = []
  for (const file of await integrationTestFiles(root)) {
    if (await reachesServer(file, new Set())) found.push(file)
  }
  return found
}

/** Through its imports, at any depth, a test comes to what starts the chosen server, or asks which one it is. */
async function reachesServer(file: string, seen: Set<string>): Promise<boolean> {
  if (basename(file) === 'server-under-test.ts') return true
  if (seen.has(file)) return false
  seen.add(file)
  for (const [, path = ''] of (await readFile(file, 'utf8')).matchAll(/from '(\.[^']*\.ts)'/g)) {
    const imported = join(dirname(file), path)
    if (imported.includes('/test/') && (await reachesServer(imported, seen))) return true
  }
  return false
}

/** How many files at once, of those without a lab and of those that mostly wait; of these 0: one by one, after the first. */
interface Lanes {
  readonly plain: number
  readonly waits: number
}

/** Two cores carry so many with the lab's own API server, and so many with a real one, which alone takes a core. */
export const lanes: Readonly<Record<'embedded' | 'real', Lanes>> = {
  embedded: { plain: 1, waits: 2 },
  real: { plain: 2, waits: 0 },
}

/**
 * Runs integration tests. First, side by side: those without a lab, those with a lab that mostly wait, and those that only wait.
 * Then the others one by one: a lab has many processes, and what its tests measure takes the whole machine.
 * @param options of each of the parts; its `concurrency` is decided here
 */
export async function runIntegrationTests(
  name: string,
  files: readonly string[],
  { beside: { plain, waits }, ...options }: Omit<RunOptions, 'concurrency'> & { readonly beside: Lanes },
): Promise<Outcome> {
  const groups: Record<'plain' | 'waits' | 'idle' | 'alone', string[]> = {
    plain: [],
    waits: [],
    idle: [],
    alone: [],
  }
  for (const file of files) groups[groupOf(await readFile(file, 'utf8'))].push(file)
  const outcomes = await Promise.all([
    runTwice(`${name}, without labs`, groups.plain, { ...options, concurrency: plain }),
    runTwice(`${name}, that mostly wait`, groups.waits, { ...options, concurrency: waits }),
    runTwice(`${name}, that only wait`, groups.idle, { ...options, concurrency: 1 }),
  ])
  const left = waits === 0 ? [...groups.waits, ...groups.alone] : groups.alone
  const alone = await runTwice(`${name}, in labs`, left, { ...options, concurrency: 1 })
  return outcomes.reduce(joined, alone)
}

function groupOf(text: string): 'plain' | 'waits' | 'idle' | 'alone' {
  if (text.includes(idleMark)) return 'idle'
  if (text.includes(waitsMark)) return 'waits'
  return /lab-harness\.ts'|process-rig\.ts'|quickstart\.ts'/.test(text) ? 'alone' : 'plain'
}

function joined(one: Outcome, other: Outcome): Outcome {
  return {
    passed: one.passed + other.passed,
    failed: [...one.failed, ...other.failed],
    skipped: [...one.skipped, ...other.skipped],
    results: [...one.results, ...other.results],
  }
}

/**
 * Gives a file whose tests failed a second run, alone, and says so aloud: on a machine of two cores a test with many processes may
 * miss its time. What fails twice has failed.
 */
async function runTwice(name: string, files: readonly string[], options: RunOptions): Promise<Outcome> {
  const once = await runTests(name, files, options)
  const failedFiles = new Set(once.results.filter(({ kind }) => kind === 'failed').map(({ file }) => file))
  const again = files.filter((file) => failedFiles.has(shortName(file)))
  if (again.length === 0) return once
  const twice = await runTests(`${name}, second run`, again, { ...options, concurrency: 1 })
  for (const file of again) process.stdout.write(`! SECOND RUN of ${shortName(file)}: see above why\n`)
  const redone = new Set(again.map(shortName))
  const kept = once.results.filter(({ file }) => !redone.has(file))
  return joined(summed(kept), twice)
}

/** Unit tests, two files at a time. */
export function runUnitTests(files: readonly string[], signal: AbortSignal): Promise<Outcome> {
  return runTwice('unit', files, { concurrency: 2, signal })
}

/** Runs test files, each in a process of its own, and prints what failed or was not run. */
async function runTests(name: string, files: readonly string[], options: RunOptions): Promise<Outcome> {
  const startedMs = performance.now()
  const { signal, concurrency } = options
  const results: Result[] = []
  const waiting = [...files]
  const work = async (): Promise<void> => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      const fileStartedMs = performance.now()
      results.push(...(await runFile(file, options)))
      const seconds = (performance.now() - fileStartedMs) / 1000
      if (seconds > slowFileSeconds) process.stdout.write(`  ${shortName(file)}: ${seconds.toFixed(1)} s\n`)
    }
  }
  await Promise.all(Array.from({ length: concurrency }, work))
  if (signal.aborted) results.push({ file: name, name: 'all files in time', kind: 'failed', reason: '' })
  return outcomeOf(name, results, performance.now() - startedMs)
}

/** One file alone: an event names the file that a test was defined in, which may be a suite that many files share. */
async function runFile(path: string, { signal, env: more }: RunOptions): Promise<readonly Result[]> {
  const env = more === undefined ? {} : { env: { ...process.env, ...more } }
  const file = shortName(path)
  const results: Result[] = []
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(fileBudgetMs + freedBudgetMs)])
  using _ = whenHung(() => {
    process.stdout.write(`! HUNG for ${fileBudgetMs / 1000} s: ${file}\n`)
    for (const line of freeHungFile(path)) process.stdout.write(`    ${line}\n`)
  })
  for await (const event of run({ files: [path], timeout: fileBudgetMs, signal: deadline, ...env })) {
    const data = event.data as EventData
    if (event.type === 'test:stdout' || event.type === 'test:stderr') {
      if (process.env['SPIDERPOOL_TEST_VERBOSE'] !== undefined) process.stdout.write(data.message ?? '')
      continue
    }
    if (event.type === 'test:diagnostic' && data.file !== undefined && file.startsWith('test/integration/')) {
      process.stdout.write(`  ${file}: ${data.message}\n`)
    }
    if (event.type !== 'test:pass' && event.type !== 'test:fail') continue
    const result = resultOf(event.type, file, data)
    if (result !== undefined) results.push(result)
    if (result?.kind === 'failed') printFailure(result, data)
  }
  return results
}

function whenHung(act: () => void): Disposable {
  const timer = setTimeout(act, fileBudgetMs)
  return { [Symbol.dispose]: () => clearTimeout(timer) }
}

interface EventData {
  readonly name?: string
  readonly file?: string
  readonly nesting?: number
  readonly skip?: string | boolean
  readonly todo?: string | boolean
  readonly message?: string
  readonly details?: {
    readonly type?: string
    readonly error?: { readonly message?: string; readonly cause?: unknown }
  }
}

const shortName = (file: string): string => file.replace(/^.*\/(src|test)\//, '$1/')

function resultOf(type: 'test:pass' | 'test:fail', file: string, data: EventData): Result | undefined {
  const { details, skip, todo, name = '' } = data
  // A suite groups tests and is none of its own, but one that is skipped as a whole names no test in it.
  if (details?.type === 'suite' && skip === undefined) return undefined
  if (type === 'test:fail') return { file, name, kind: 'failed', reason: '' }
  if (skip === undefined && todo === undefined) return { file, name, kind: 'passed', reason: '' }
  const reason = String(skip ?? todo)
  return { file, name, kind: elsewhere.test(reason) ? 'elsewhere' : 'not-run', reason }
}

function printFailure({ file, name }: Result, { details }: EventData): void {
  const { error } = details ?? {}
  const cause = error?.cause instanceof Error ? (error.cause.stack ?? error.cause.message) : error?.cause
  const text = String(cause ?? error?.message ?? '').replaceAll('\n', '\n    ')
  process.stdout.write(`✗ ${file}: ${name}\n    ${text}\n`)
}

function summed(results: readonly Result[]): Outcome {
  const titles = (kind: Result['kind']) =>
    results
      .filter((result) => result.kind === kind)
      .map(({ file, name: test, reason }) => `${file}: ${test}${reason === '' ? '' : ` (${reason})`}`)
  return {
    passed: titles('passed').length,
    failed: titles('failed'),
    skipped: titles('not-run'),
    results,
  }
}

function outcomeOf(name: string, results: readonly Result[], tookMs: number): Outcome {
  const outcome = summed(results)
  const { passed, failed, skipped } = outcome
  for (const title of skipped) process.stdout.write(`! NOT RUN ${title}\n`)
  process.stdout.write(
    `${name}: ${passed} passed, ${failed.length} failed, ${skipped.length} not run (${(tookMs / 1000).toFixed(1)} s)\n`,
  )
  return outcome
}

/** Where the results of a column are kept, for the table of both. */
const columnFile = (root: string, column: string): string =>
  join(root, 'build', 'test-results', `${column}.json`)

export async function writeColumn(root: string, column: string, results: readonly Result[]): Promise<void> {
  const path = columnFile(root, column)
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, JSON.stringify(results))
}

/** @returns undefined when that column was never run here */
export async function readColumn(root: string, column: string): Promise<readonly Result[] | undefined> {
  try {
    return JSON.parse(await readFile(columnFile(root, column), 'utf8')) as readonly Result[]
  } catch {
    return undefined
  }
}
