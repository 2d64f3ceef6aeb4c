import { existsSync, readdirSync } from 'node:fs'
import { connect } from 'node:net'
import { systemClock } from '../../base/index.ts'
import { type LabPaths, nodePathsOf } from '../lab-paths.ts'
import { LabError } from './lab-error.ts'

const pollMs = 100

/** Waits until a port of this machine takes connections. */
export async function untilListening(port: number, budgetMs: number, signal: AbortSignal): Promise<void> {
  await poll(
    () => canConnect(port),
    budgetMs,
    signal,
    () => {
      const hint = 'See its log: it may have ended again and again'
      return new LabError(`Nothing listens on 127.0.0.1:${port} after ${budgetMs} ms`, hint)
    },
  )
}

function canConnect(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const socket = connect({ host: '127.0.0.1', port })
  socket.once('connect', () => resolve(true))
  socket.once('error', () => resolve(false))
  void promise.then(() => socket.destroy())
  return promise
}

/** Waits until each agent has its socket and has written the node's network configuration. */
export async function untilAgentsReady(
  paths: LabPaths,
  nodes: readonly string[],
  budgetMs: number,
  signal: AbortSignal,
): Promise<void> {
  const waiting = (): readonly string[] =>
    nodes.filter((node) => {
      const { socket, cniConfDir } = nodePathsOf(paths, node)
      return !existsSync(socket) || !readdirSync(cniConfDir).some((name) => name.endsWith('list'))
    })
  await poll(
    () => Promise.resolve(waiting().length === 0),
    budgetMs,
    signal,
    () => {
      const hint = `See ${paths.logsDir}/agent-*.log`
      return new LabError(`Agents of ${waiting().join(', ')} are not ready after ${budgetMs} ms`, hint)
    },
  )
}

async function poll(
  isDone: () => Promise<boolean>,
  budgetMs: number,
  signal: AbortSignal,
  failure: () => Error,
): Promise<void> {
  const endMs = systemClock.nowMs() + budgetMs
  while (!(await isDone())) {
    if (systemClock.nowMs() > endMs) throw failure()
    await systemClock.sleep(pollMs, signal)
  }
}
