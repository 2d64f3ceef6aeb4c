import { access, constants, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Child, SystemCallError, startChild } from '../netlink/index.ts'
import { CniError } from './cni-error.ts'
import type { Environment } from './environment.ts'
import { cniCodes } from './error-codes.ts'

/** One start of a plugin executable. */
export interface PluginCall {
  readonly type: string
  readonly path: string
  readonly env: Environment
  readonly stdin: string
  readonly timeoutMs: number
  /** Network namespace to start it in; absent: ours. */
  readonly netnsPath?: string
}

/** What it printed, and how it ended. */
export interface PluginOutput {
  readonly stdout: string
  readonly stderr: string
  /** `exit status 1`, `signal SIGKILL`, `timeout after 100000 ms`; '' after success. */
  readonly failure: string
}

const maxStdoutBytes = 4 << 20
const maxStderrBytes = 64 << 10
const busyRetries = 5
const busyPauseMs = 1000

/**
 * The executable of a plugin type: the first hit of the folders.
 * @throws {CniError} naming the type and all folders searched
 */
export async function findPlugin(type: string, folders: readonly string[]): Promise<string> {
  for (const folder of folders) {
    const path = join(folder, type)
    if (await isExecutable(path)) return path
  }
  throw new CniError({
    cniCode: cniCodes.delegate,
    slug: 'plugin-missing',
    message: `Cannot find CNI plugin "${type}": not in ${folders.join(', ') || 'any folder'}`,
    hint: `install the executable "${type}" in one of these folders, or add its folder to the plugin path`,
  })
}

async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK)
    return (await stat(path)).isFile()
  } catch {
    return false // not there, or not for us: the next folder may have it
  }
}

/** Starts a plugin and waits for its end; a file that is being written is tried again for 5 s. */
export async function runPlugin(call: PluginCall, signal: AbortSignal): Promise<PluginOutput> {
  for (let attempt = 0; ; attempt++) {
    const output = await runOnce(call, signal)
    if (output !== 'busy') return output
    if (attempt === busyRetries)
      throw new CniError({
        cniCode: cniCodes.tryAgain,
        slug: 'plugin-busy',
        message: `Cannot start CNI plugin "${call.type}": ${call.path} is being written`,
        hint: 'wait until its installation is complete',
      })
    await sleep(busyPauseMs, undefined, { signal })
  }
}

async function runOnce(call: PluginCall, signal: AbortSignal): Promise<PluginOutput | 'busy'> {
  signal.throwIfAborted()
  const child = start(call)
  if ('failure' in child) return child.failure === 'busy' ? 'busy' : { stdout: '', stderr: '', ...child }
  const stdout = collect(child.stdout, maxStdoutBytes)
  const stderr = collect(child.stderr, maxStderrBytes)
  child.stdin.on('error', () => undefined) // it may exit before it has read all
  child.stdin.end(call.stdin)
  let stopped = ''
  const stop = (why: string) => () => {
    stopped = why
    killGroup(child)
  }
  const timer = setTimeout(stop(`timeout after ${call.timeoutMs} ms`), call.timeoutMs)
  const abort = stop('aborted')
  signal.addEventListener('abort', abort, { once: true })
  try {
    const ended = await waitForEnd(child)
    return { stdout: stdout(), stderr: stderr(), failure: stopped === '' ? ended : stopped }
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', abort)
    child.stdin.destroy()
  }
}

function start(call: PluginCall): Child | { readonly failure: string } {
  const { path, env, netnsPath } = call
  try {
    // A session of its own, so that children of the plugin (its IPAM) end with it.
    return startChild({ file: path, args: [], env, ...(netnsPath === undefined ? {} : { netnsPath }) })
  } catch (error) {
    if (!(error instanceof SystemCallError)) throw error
    return { failure: error.errnoName === 'ETXTBSY' ? 'busy' : `cannot start: ${error.message}` }
  }
}

/** The end of the process and of its output, which a grandchild may hold open longer. */
async function waitForEnd(child: Child): Promise<string> {
  const streams = [child.stdout, child.stderr].map((stream) => {
    const { promise, resolve } = Promise.withResolvers<void>()
    stream.once('close', () => resolve())
    return promise
  })
  const [end] = await Promise.all([child.ended, ...streams])
  if (end.kind === 'killed') return `signal ${end.signal}`
  return end.code === 0 ? '' : `exit status ${end.code}`
}

function killGroup(child: Child): void {
  try {
    process.kill(-child.pid, 'SIGKILL')
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error
  }
  // A grandchild that left the group may hold the pipes: do not wait for it.
  child.stdout.destroy()
  child.stderr.destroy()
}

function collect(stream: NodeJS.ReadableStream, maxBytes: number): () => string {
  const chunks: Buffer[] = []
  let bytes = 0
  stream.on('data', (chunk: Buffer) => {
    // What is beyond the limit is read and dropped, so that the plugin does not block on it.
    if (bytes < maxBytes) chunks.push(chunk.subarray(0, maxBytes - bytes))
    bytes += chunk.length
  })
  stream.on('error', () => undefined) // the end of the process says what happened
  return () => Buffer.concat(chunks).toString('utf8')
}
