import { readdirSync } from 'node:fs'
import { parseProcessStat, readProcFile } from '../src/lab/process-table.ts'

const shownCharacters = 200 // Node names all its defaults before the file

interface Descendant {
  readonly pid: number
  readonly parentPid: number
  readonly command: string
  /** Where in the kernel it sleeps. */
  readonly sleepsIn: string
}

function allProcesses(): readonly Descendant[] {
  return readdirSync('/proc')
    .map(Number)
    .filter(Number.isInteger)
    .flatMap((pid) => {
      const entry = parseProcessStat(pid, readProcFile(pid, 'stat') ?? '')
      if (entry === undefined) return []
      const command = (readProcFile(pid, 'cmdline') ?? '').replaceAll('\0', ' ').trim()
      return [{ pid, parentPid: entry.parentPid, command, sleepsIn: readProcFile(pid, 'wchan') ?? '' }]
    })
}

/**
 * Frees a test file whose process is held by a command that does not end: says what runs below it, and kills its children. The
 * call that waited fails, with the place, and the hooks of the file clear up. An `after` of node:test could not: the process is
 * blocked, and no signal reaches it.
 * @param path of the test file, whose process is a child of this one
 * @returns a line a process, for the log; empty when the file has no process
 */
export function freeHungFile(path: string): readonly string[] {
  const all = allProcesses()
  const file = all.find(({ parentPid, command }) => parentPid === process.pid && command.includes(path))
  if (file === undefined) return []
  const below = [file]
  for (const one of below) below.push(...all.filter(({ parentPid }) => parentPid === one.pid))
  for (const { pid } of below.filter(({ parentPid }) => parentPid === file.pid)) {
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      // It ended by itself meanwhile.
    }
  }
  return below.map(
    ({ pid, parentPid, command, sleepsIn }) =>
      `${pid} of ${parentPid} (${sleepsIn}): ${command.slice(-shownCharacters)}`,
  )
}
