import assert from 'node:assert/strict'
import test from 'node:test'
import { ApiError, type KubeApi } from '../../kube/index.ts'
import { runCli } from '../run-cli.ts'
import { clusterCommands } from './commands.ts'

/** Runs a command on a server whose every answer is `answer`. */
async function on(answer: (signal: AbortSignal) => Promise<never>, args: readonly string[]) {
  const call = (...given: readonly unknown[]) => answer(given.at(-1) as AbortSignal)
  const api: Partial<KubeApi> = { get: call, list: call, listAll: call }
  const cluster = { connect: () => Promise.resolve({ api: api as KubeApi, close: () => Promise.resolve() }) }
  const err: string[] = []
  const terminal = { print: () => undefined, note: (line: string) => void err.push(line) }
  const never = new AbortController().signal
  const code = await runCli(args, clusterCommands(cluster, { KUBECONFIG: 'k' }), terminal, never)
  return { code, err: err.join('\n') }
}

void test('a right that is missing is named, with what to do', async () => {
  const message = 'spiderippools is forbidden: User "guest" cannot list resource "spiderippools"'
  const refuse = () =>
    Promise.reject(new ApiError('list spiderippools', { status: 403, reason: 'Forbidden', message }))
  const { code, err } = await on(refuse, ['pool', 'show'])
  assert.equal(code, 1)
  assert.match(err, /cannot list resource "spiderippools".*\n +Grant the right with a Role/)
})

void test('a server that does not answer is given up in the time that is given', async () => {
  const hang = (signal: AbortSignal) =>
    new Promise<never>((_, reject) => {
      const timer = setTimeout(() => undefined, 60_000) // keeps the process alive, as a socket does
      signal.addEventListener('abort', () => {
        clearTimeout(timer)
        reject(signal.reason as Error)
      })
    })
  const { code, err } = await on(hang, ['ip', 'show', '10.0.0.1', '--timeout-seconds', '1'])
  assert.equal(code, 1)
  assert.match(err, /Cannot finish within 1 s.*\n.*--timeout-seconds/)
})
