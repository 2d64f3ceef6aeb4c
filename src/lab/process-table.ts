import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { type Clock, toError } from '../base/index.ts'

/** One process for all time: a pid alone may be another's by now. */
export interface ProcessId {
  readonly pid: number
  /** Clock ticks after boot (field 22 of proc_pid_stat(5)). */
  readonly startTicks: number
}

/** A process as /proc shows it. */
export interface ProcessEntry extends ProcessId {
  readonly parentPid: number
  readonly state: string // Z is a zombie
}

const pollMs = 20

/** @returns undefined when there is none, or only its zombie */
export function readProcessId(pid: number): ProcessId | undefined {
  const entry = readProcess(pid)
  return entry === undefined || entry.state === 'Z' ? undefined : { pid, startTicks: entry.startTicks }
}

export function isAlive(id: ProcessId): boolean {
  return readProcessId(id.pid)?.startTicks === id.startTicks
}

function readProcess(pid: number): ProcessEntry | undefined {
  const stat = readProcFile(pid, 'stat')
  return stat === undefined ? undefined : parseProcessStat(pid, stat)
}

/** The name in the second field may hold anything, blanks and parentheses too: fields count from the last `)`. */
export function parseProcessStat(pid: number, stat: string): ProcessEntry | undefined {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const [state, parent] = fields
  const startTicks = Number(fields[19])
  if (state === undefined || parent === undefined || !Number.isSafeInteger(startTicks)) return undefined
  return { pid, startTicks, parentPid: Number(parent), state }
}

/** All processes whose `/proc` files satisfy `isWanted`; never this one. */
export function findProcesses(isWanted: (pid: number) => boolean): readonly ProcessId[] {
  const pids = readdirSync('/proc').map(Number)
  return pids
    .filter((pid) => Number.isInteger(pid) && pid > 1 && pid !== process.pid && isWanted(pid))
    .map((pid) => readProcessId(pid))
    .filter((id) => id !== undefined)
}

/** A file of a process; undefined when the process is gone, or not ours to see. */
export function readProcFile(pid: number, name: string): string | undefined {
  return unlessGone(() => readFileSync(`/proc/${pid}/${name}`, 'utf8'))
}

/** A link of a process, such as `exe` or `ns/net`; undefined when the process is gone, or not ours to see. */
export function readProcLink(pid: number, name: string): string | undefined {
  return unlessGone(() => readlinkSync(`/proc/${pid}/${name}`))
}

const goneCodes = new Set(['ENOENT', 'ESRCH', 'EACCES', 'EPERM'])

function unlessGone<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    if (error instanceof Error && 'code' in error && goneCodes.has(String(error.code))) return undefined
    throw error
  }
}

/**
 * Ends processes: SIGTERM, and SIGKILL for those that are still there after `graceMs`. Gives back those that would not
 * go even then (in the kernel, for a disk).
 */
export async function endProcesses(
  ids: readonly ProcessId[],
  graceMs: number,
  clock: Clock,
  signal: AbortSignal,
): Promise<readonly ProcessId[]> {
  let left = sendSignal(ids, 'SIGTERM')
  left = await waitForEnd(left, graceMs, clock, signal)
  left = sendSignal(left, 'SIGKILL')
  return waitForEnd(left, killGraceMs, clock, signal)
}

const killGraceMs = 5000

/** @returns those that were alive */
export function sendSignal(ids: readonly ProcessId[], name: NodeJS.Signals): readonly ProcessId[] {
  const living = ids.filter(isAlive)
  for (const { pid } of living) {
    try {
      process.kill(pid, name)
    } catch (error) {
      // It may end between the look and the signal.
      if (!('code' in toError(error)) || readProcessId(pid) !== undefined) throw error
    }
  }
  return living
}

async function waitForEnd(
  ids: readonly ProcessId[],
  graceMs: number,
  clock: Clock,
  signal: AbortSignal,
): Promise<readonly ProcessId[]> {
  const endMs = clock.nowMs() + graceMs
  let left = ids.filter(isAlive)
  while (left.length > 0 && clock.nowMs() < endMs) {
    await clock.sleep(pollMs, signal)
    left = left.filter(isAlive)
  }
  return left
}
