// The suite on both API servers, side by side: what ran where, and what is missing.
import type { Result } from './test-runner.ts'

const maxOnOne = 5

/** What is wrong with the two columns; empty when both are complete. */
export interface Columns {
  readonly lines: readonly string[]
  readonly problems: readonly string[]
}

/**
 * @param embedded results on the embedded server; those of files that need no API server are left out
 * @param real results on the real one
 * @param files that need an API server
 */
export function compareColumns(
  embedded: readonly Result[],
  real: readonly Result[],
  files: readonly string[],
): Columns {
  const lines = [row('test file', 'embedded', 'real')]
  const problems: string[] = []
  const onOne = new Map<string, string>()
  for (const file of files) {
    const left = embedded.filter((result) => result.file === file)
    const right = real.filter((result) => result.file === file)
    lines.push(row(file.replace('test/integration/', ''), count(left), count(right)))
    for (const { name, kind, reason } of [...left, ...right]) {
      if (kind === 'elsewhere') onOne.set(`${file}: ${name}`, reason)
    }
    problems.push(...missing(file, left, right))
  }
  for (const [title, reason] of onOne) lines.push(`  ${reason}: ${title}`)
  if (onOne.size > maxOnOne) problems.push(`${onOne.size} tests run on one server alone, ${maxOnOne} may`)
  return { lines, problems }
}

function missing(file: string, left: readonly Result[], right: readonly Result[]): readonly string[] {
  const passed = (results: readonly Result[]) =>
    new Set(results.filter(({ kind }) => kind === 'passed').map(({ name }) => name))
  const known = new Set(
    [...left, ...right].filter(({ kind }) => kind !== 'elsewhere').map(({ name }) => name),
  )
  const problems: string[] = []
  for (const [column, results] of [
    ['embedded', left],
    ['real', right],
  ] as const) {
    const here = passed(results)
    const excused = new Set(results.filter(({ kind }) => kind === 'elsewhere').map(({ name }) => name))
    if (here.size === 0 && excused.size === 0)
      problems.push(`${file}: no test passed on the ${column} server`)
    else {
      for (const name of known) {
        if (!here.has(name) && !excused.has(name))
          problems.push(`${file}: not passed on the ${column} server: ${name}`)
      }
    }
  }
  return problems
}

function count(results: readonly Result[]): string {
  const of = (wanted: Result['kind']) => results.filter(({ kind }) => kind === wanted).length
  if (results.length === 0) return 'not run'
  const failed = of('failed') + of('not-run')
  return `${of('passed')} passed${failed === 0 ? '' : `, ${failed} not`}`
}

function row(...cells: readonly [string, string, string]): string {
  return `| ${cells[0].padEnd(32)} | ${cells[1].padEnd(18)} | ${cells[2].padEnd(18)} |`
}
