// Plants each of the bugs of test/simulation/planted-bugs.ts in a copy of the code, and runs histories until one fails.
import { cpSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type PlantedBug, plantedBugs } from '../test/simulation/planted-bugs.ts'
import { runBatch } from './simulation-batch.ts'

/** Within so many histories each has to be found. */
const mostHistories = 400

/** @returns what went wrong, by bug; none when all were found */
export async function findPlantedBugs(
  root: string,
  atOnce: number,
  say: (line: string) => void,
): Promise<readonly string[]> {
  const problems: string[] = []
  const waiting = [...plantedBugs.entries()]
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [index, bug] = next
      const startedMs = performance.now()
      const copy = join(root, 'build', 'planted', String(index))
      const problem = plant(root, copy, bug)
      const report = problem === undefined ? await runBatch(copy, 1, mostHistories, true) : undefined
      rmSync(copy, { recursive: true, force: true })
      const [found] = report?.failed ?? []
      const seconds = Math.round((performance.now() - startedMs) / 1000)
      if (found !== undefined) say(`found "${bug.name}" by seed ${found.seed} (${seconds} s): ${found.why}`)
      else problems.push(`planted bug "${bug.name}": ${problem ?? `not found in ${mostHistories} histories`}`)
    }
  }
  await Promise.all(Array.from({ length: atOnce }, work))
  return problems
}

/** @returns why it cannot be planted: the code is not as it was any more */
function plant(root: string, copy: string, { edits }: PlantedBug): string | undefined {
  rmSync(copy, { recursive: true, force: true })
  mkdirSync(copy, { recursive: true })
  for (const folder of ['src', 'test/simulation'])
    cpSync(join(root, folder), join(copy, folder), { recursive: true })
  writeFileSync(join(copy, 'package.json'), '{"type":"module"}')
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'))
  for (const { file, from, to } of edits) {
    const text = readFileSync(join(copy, file), 'utf8')
    const parts = text.split(from)
    if (parts.length !== 2) return `${file} has ${parts.length - 1} times what it changes: ${from}`
    writeFileSync(join(copy, file), parts.join(to))
  }
  return undefined
}
