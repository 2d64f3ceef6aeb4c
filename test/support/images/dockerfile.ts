// Reads what images/Dockerfile says of a target, so that a test starts what an engine would start.
import { readFileSync } from 'node:fs'

/** One stage of a Dockerfile. */
export interface Stage {
  readonly from: string
  readonly user: string
  readonly entrypoint: readonly string[]
  readonly env: Readonly<Record<string, string>>
  /** Instructions in their order, such as `COPY --from=build /rootfs/agent /`. */
  readonly instructions: readonly string[]
}

/** @throws when the file has no such stage */
export function readStage(file: string, name: string): Stage {
  const lines = readFileSync(file, 'utf8')
    .replaceAll(/^\s*#.*\n/gm, '')
    .replaceAll(/\\\n\s*/g, '')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
  const start = lines.findIndex((line) => line.startsWith('FROM ') && line.endsWith(` AS ${name}`))
  const first = lines[start]
  if (first === undefined) throw new Error(`${file} has no stage "${name}"`)
  const after = lines.slice(start + 1)
  const end = after.findIndex((line) => line.startsWith('FROM '))
  const instructions = end === -1 ? after : after.slice(0, end)
  const restOf = (word: string): string =>
    instructions.find((line) => line.startsWith(`${word} `))?.slice(word.length + 1) ?? ''
  const pairs = restOf('ENV')
    .split(' ')
    .filter((pair) => pair !== '')
    .map((pair) => pair.split('=', 2) as [string, string])
  return {
    from: first.replace(/^FROM (--\S+ )?/, '').replace(/ AS .*$/, ''),
    user: restOf('USER'),
    entrypoint: JSON.parse(restOf('ENTRYPOINT') || '[]') as string[],
    env: Object.fromEntries(pairs),
    instructions,
  }
}
