import { glob } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from 'node:test'

/** Outcome of a set of test files. */
export interface Outcome {
  readonly passed: number
  readonly failed: readonly string[]
  readonly skipped: readonly string[]
}

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

/**
 * Runs test files, each in a process of its own, and prints what failed or was skipped.
 * @param concurrency how many files at once
 */
export async function runTests(
  name: string,
  files: readonly string[],
  concurrency: number,
): Promise<Outcome> {
  const startedMs = performance.now()
  const failed: string[] = []
  const skipped: string[] = []
  let passed = 0
  const stream = run({ files: [...files], concurrency, timeout: 600_000 })
  for await (const event of stream) {
    const data = event.data as {
      name?: string
      file?: string
      skip?: string | boolean
      todo?: string | boolean
      message?: string
      details?: { type?: string; error?: { message?: string; cause?: unknown } }
    }
    if (event.type === 'test:stdout' || event.type === 'test:stderr') {
      if (process.env['SPIDERPOOL_TEST_VERBOSE'] !== undefined) process.stdout.write(data.message ?? '')
      continue
    }
    if (event.type !== 'test:pass' && event.type !== 'test:fail') continue
    // A suite groups tests and is none of its own, but one that is skipped as a whole names no test in it.
    if (data.details?.type === 'suite' && data.skip === undefined) continue
    const title = `${(data.file ?? '').replace(/^.*\/(src|test)\//, '$1/')}: ${data.name ?? ''}`
    if (event.type === 'test:fail') {
      failed.push(title)
      const { error } = data.details ?? {}
      const cause = error?.cause instanceof Error ? (error.cause.stack ?? error.cause.message) : error?.cause
      process.stdout.write(
        `✗ ${title}\n    ${String(cause ?? error?.message ?? '').replaceAll('\n', '\n    ')}\n`,
      )
    } else if (data.skip !== undefined || data.todo !== undefined) {
      skipped.push(`${title} (${String(data.skip ?? data.todo)})`)
    } else {
      passed++
    }
  }
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1)
  for (const title of skipped) process.stdout.write(`! NOT RUN ${title}\n`)
  process.stdout.write(
    `${name}: ${passed} passed, ${failed.length} failed, ${skipped.length} not run (${seconds} s)\n`,
  )
  return { passed, failed, skipped }
}
