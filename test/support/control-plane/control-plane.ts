// Starts and stops a real control plane (etcd, kube-apiserver, kube-controller-manager, kube-scheduler) from a test.
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, openSync, readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import type { ControlPlaneState } from './daemon.ts'

export type { ControlPlaneState }

const upBudgetMs = 120_000
const downBudgetMs = 40_000
const pollMs = 100

/** What may differ from one control plane to the next. */
export interface ControlPlaneOptions {
  /** Address that the API server listens on (127.0.0.1). */
  readonly host?: string
}

/**
 * Starts a control plane in `dir` and waits until it serves pods. Requests of our accounts go to an audit log in
 * $SPIDERPOOL_AUDIT_DIR, when that is set.
 * @throws with the ends of its logs when it does not come up
 */
export function controlPlaneUp(dir: string, options: ControlPlaneOptions = {}): ControlPlaneState {
  mkdirSync(dir, { recursive: true, mode: 0o700 })
  const log = openSync(join(dir, 'supervisor.log'), 'a', 0o600)
  const auditDir = process.env['SPIDERPOOL_AUDIT_DIR']
  const audit = auditDir === undefined ? [] : ['--audit', join(auditDir, `${basename(dir)}.log`)]
  const args = [join(import.meta.dirname, 'main.ts'), 'run', '--dir', dir, ...audit]
  const host = options.host === undefined ? [] : ['--host', options.host]
  const child = spawn(process.execPath, [...args, ...host], {
    stdio: ['ignore', log, log],
    detached: true,
  })
  child.unref()
  const untilMs = performance.now() + upBudgetMs
  while (performance.now() < untilMs) {
    const state = readState(dir)
    if (state?.isReady === true) return state
    sleepMs(pollMs)
    if (child.pid === undefined || !isAlive(child.pid)) break
  }
  const logs = logEnds(dir)
  if (child.pid !== undefined) end(child.pid)
  throw new Error(`The control plane in ${dir} did not come up:\n${logs}`)
}

/** Stops it, also what a supervisor that was killed has left; the folder stays. @throws when something goes on running */
export function controlPlaneDown(dir: string): void {
  const state = readState(dir)
  if (state === undefined) return
  end(state.supervisor)
  // A process id may have been given to a stranger meanwhile.
  const left = Object.entries(state.pids).filter(([name, pid]) => isAlive(pid) && isProgram(pid, name))
  for (const [, pid] of left) process.kill(pid, 'SIGKILL')
  sleepMs(left.length === 0 ? 0 : pollMs)
  const running = left.filter(([, pid]) => isAlive(pid)).map(([name, pid]) => `${name} (${pid})`)
  if (running.length > 0) throw new Error(`The control plane in ${dir} goes on: ${running.join(', ')}`)
}

function isProgram(pid: number, name: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')[0]?.endsWith(`/${name}`) === true
  } catch {
    return false
  }
}

/** What runs in `dir` now: process ids change when something died and was started again. */
export function readState(dir: string): ControlPlaneState | undefined {
  const path = join(dir, 'state.json')
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as ControlPlaneState) : undefined
}

function end(pid: number): void {
  if (!isAlive(pid)) return
  process.kill(pid, 'SIGTERM')
  const untilMs = performance.now() + downBudgetMs
  while (isAlive(pid) && performance.now() < untilMs) sleepMs(pollMs)
}

/** A child that ended and was not waited for yet is a zombie: it does not live. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

function logEnds(dir: string): string {
  const logs = readdirSync(dir).filter((name) => name.endsWith('.log'))
  return logs.map((name) => `${name}: ${readFileSync(join(dir, name), 'utf8').slice(-1_500)}`).join('\n')
}

// Tests start labs in synchronous hooks.
function sleepMs(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}
