import { readdirSync, readlinkSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { isMainThread } from 'node:worker_threads'
import { assert } from '../base/index.ts'
import { callSystem, closeFile, libcCalls, openFile } from './libc.ts'
import { SystemCallError } from './system-call-error.ts'

const CLONE_NEWNET = 0x40000000

interface HostNamespace {
  readonly fd: number
  readonly identity: string // as in /proc: `net:[4026531840]`
}
let host: HostNamespace | undefined

/**
 * Starts libuv's thread pool in the namespace of the host and remembers that namespace. To be awaited once, before the
 * first `withNamespace()`: a thread of the pool that is born in a pod's namespace stays there for ever.
 */
export async function prepareNamespaces(): Promise<void> {
  assert(isMainThread, 'namespaces are entered from the main thread alone')
  // The first work item creates all threads of the pool at once.
  await stat('/proc/self/ns/net')
  if (host === undefined) {
    host = { fd: openFile('/proc/self/ns/net', 'read'), identity: readlinkSync('/proc/self/ns/net') }
  }
  assertHostThreads()
}

/**
 * Checks that each thread of this process is in the namespace that `prepareNamespaces()` saw.
 * @throws {AssertionError} when one is not: then calls may act on the wrong namespace, and the process has to end
 */
export function assertHostThreads(): void {
  assert(host !== undefined, 'prepareNamespaces() was not awaited')
  for (const thread of readdirSync('/proc/self/task')) {
    const found = threadNamespace(thread)
    assert(
      found === undefined || found === host.identity,
      `thread ${thread} is in namespace ${found ?? 'none'}, not in the host's ${host.identity}`,
    )
  }
}

function threadNamespace(thread: string): string | undefined {
  try {
    return readlinkSync(`/proc/self/task/${thread}/ns/net`)
  } catch (error) {
    // A thread may end while the list is walked.
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ESRCH'))
      return
    throw error
  }
}

/**
 * Runs `work` with the main thread inside the network namespace at `path`: sockets that it opens stay there. `work` may
 * make synchronous native calls and nothing else: no promise, no timer, no file function of Node that is not `...Sync`.
 * @throws {SystemCallError} when the namespace cannot be entered
 */
export function withNamespace<T>(path: string, work: () => T): T {
  assert(isMainThread, 'namespaces are entered from the main thread alone')
  const home = host
  assert(home !== undefined, 'prepareNamespaces() was not awaited')
  const fd = openFile(path, 'read')
  try {
    callSystem(`enter the network namespace "${path}"`, () => libcCalls.setns(fd, CLONE_NEWNET))
    try {
      return work()
    } finally {
      // No exception could be trusted to end a process that is in the wrong namespace: whoever caught it would go on.
      if (libcCalls.setns(home.fd, CLONE_NEWNET) !== 0) process.abort()
    }
  } finally {
    closeFile(fd)
  }
}

/**
 * Writes a kernel setting below /proc/sys/net of a namespace.
 * @param path of the namespace
 * @param name such as `net/ipv4/ip_forward`
 */
export function writeNamespaceSetting(path: string, name: string, value: string): void {
  const bytes = new TextEncoder().encode(value)
  withNamespace(path, () => {
    const fd = openFile(`/proc/sys/${name}`, 'write')
    try {
      callSystem(`set ${name} to ${value}`, () => libcCalls.write(fd, bytes, bytes.byteLength))
    } finally {
      closeFile(fd)
    }
  })
}

/** An open namespace, to move links into: `LinkChange.netnsFd`. To be disposed of (`using`). */
export interface OpenNamespace extends Disposable {
  readonly fd: number
}

/** Opens the namespace file at `path`. @throws {SystemCallError} when it cannot be opened */
export function openNamespace(path: string): OpenNamespace {
  const fd = openFile(path, 'read')
  return { fd, [Symbol.dispose]: () => closeFile(fd) }
}

/** What tells one network namespace from another, such as `net:[4026531840]`; of this process when no path is given. */
export function namespaceIdentity(path?: string): string {
  if (path === undefined) return readlinkSync('/proc/self/ns/net')
  const fd = openFile(path, 'read')
  try {
    return readlinkSync(`/proc/self/fd/${fd}`)
  } finally {
    closeFile(fd)
  }
}

/** True when a network namespace is mounted at `path`; false for a plain file, or none. */
export function isNamespace(path: string): boolean {
  try {
    return namespaceIdentity(path).startsWith('net:')
  } catch (error) {
    if (error instanceof SystemCallError && error.errnoName === 'ENOENT') return false
    throw error
  }
}
