// The one place that loads koffi. Synchronous calls only: an asynchronous one would run on a thread of libuv's pool.
import koffi from 'koffi'
import { SystemCallError } from './system-call-error.ts'

type Call<Arguments extends readonly unknown[]> = (...args: Arguments) => number
type Bytes = Uint8Array | null

const libc = koffi.load('libc.so.6')
const declare = <Arguments extends readonly unknown[]>(prototype: string): Call<Arguments> =>
  libc.func(prototype) as Call<Arguments>

const syscall = declare<[number: number, first: number, second: number]>(
  'intptr_t syscall(intptr_t number, intptr_t first, intptr_t second)',
)

/** Plain system calls; -1 is a failure whose reason `lastErrno()` tells. Prototypes as in section 2 of the man pages. */
export const libcCalls: {
  readonly open: Call<[path: string, flags: number]>
  readonly close: Call<[fd: number]>
  readonly write: Call<[fd: number, bytes: Uint8Array, byteCount: number]>
  readonly setns: Call<[fd: number, type: number]>
  readonly socket: Call<[domain: number, type: number, protocol: number]>
  readonly bind: Call<[fd: number, address: Uint8Array, addressBytes: number]>
  readonly setsockopt: Call<[fd: number, level: number, name: number, value: Uint8Array, valueBytes: number]>
  readonly sendto: Call<
    [fd: number, bytes: Uint8Array, byteCount: number, flags: number, to: Bytes, toBytes: number]
  >
  readonly recvfrom: Call<
    [fd: number, bytes: Uint8Array, byteCount: number, flags: number, from: Bytes, fromBytes: Bytes]
  >
  readonly umount: Call<[path: string, flags: number]>
  readonly pipe2: Call<[ends: Uint8Array, flags: number]>
  readonly pidfdOpen: Call<[pid: number, flags: number]>
  readonly waitpid: Call<[pid: number, status: Uint8Array, options: number]>
} = {
  open: declare('int open(const char *path, int flags)'),
  close: declare('int close(int fd)'),
  write: declare('intptr_t write(int fd, void *bytes, size_t count)'),
  setns: declare('int setns(int fd, int type)'),
  socket: declare('int socket(int domain, int type, int protocol)'),
  bind: declare('int bind(int fd, void *address, uint32_t addressBytes)'),
  setsockopt: declare('int setsockopt(int fd, int level, int name, void *value, uint32_t valueBytes)'),
  sendto: declare(
    'intptr_t sendto(int fd, void *bytes, size_t count, int flags, void *to, uint32_t toBytes)',
  ),
  recvfrom: declare('intptr_t recvfrom(int fd, void *bytes, size_t count, int flags, void *from, void *n)'),
  umount: declare('int umount2(const char *path, int flags)'),
  pipe2: declare('int pipe2(void *ends, int flags)'),
  // The wrapper came with glibc 2.36; the number is the same on all architectures.
  pidfdOpen: (pid, flags) => syscall(434, pid, flags),
  waitpid: declare('int waitpid(int pid, void *status, int options)'),
}

type OnStruct<More extends readonly unknown[] = []> = Call<[struct: Uint8Array, ...more: More]>
type Texts = readonly (string | null)[]

/** posix_spawn(3) and what prepares it; each gives an errno, 0 for none. */
export const spawnCalls: {
  readonly initActions: OnStruct
  readonly addDup2: OnStruct<[from: number, to: number]>
  readonly destroyActions: OnStruct
  readonly initAttributes: OnStruct
  readonly setFlags: OnStruct<[flags: number]>
  readonly setSigDefault: OnStruct<[signals: Uint8Array]>
  readonly destroyAttributes: OnStruct
  readonly spawn: OnStruct<
    [path: string, actions: Uint8Array, attributes: Uint8Array, args: Texts, env: Texts]
  >
} = {
  initActions: declare('int posix_spawn_file_actions_init(void *actions)'),
  addDup2: declare('int posix_spawn_file_actions_adddup2(void *actions, int from, int to)'),
  destroyActions: declare('int posix_spawn_file_actions_destroy(void *actions)'),
  initAttributes: declare('int posix_spawnattr_init(void *attributes)'),
  setFlags: declare('int posix_spawnattr_setflags(void *attributes, short flags)'),
  setSigDefault: declare('int posix_spawnattr_setsigdefault(void *attributes, void *signals)'),
  destroyAttributes: declare('int posix_spawnattr_destroy(void *attributes)'),
  spawn: declare(
    'int posix_spawn(void *pid, const char *path, void *actions, void *attributes, const char **a, const char **e)',
  ),
}

/** Watches a descriptor; keeps the process alive unless told otherwise. */
export interface PollHandle {
  close(): void
  unref(): void
}

/** Calls `listener` each time the descriptor can be read; close the handle before the descriptor. */
export function pollReadable(fd: number, listener: () => void): PollHandle {
  return koffi.node.poll(fd, { readable: true }, listener)
}

/** The errno of the last call that gave -1. */
function lastErrno(): number {
  return koffi.errno()
}

const EINTR = 4
const maxInterrupts = 1000

/**
 * Makes `call` until no signal interrupts it.
 * @returns what it gives, 0 or more
 * @throws {SystemCallError} `Cannot <action>: <errno>` when it gives -1
 */
export function callSystem(action: string, call: () => number): number {
  for (let interrupts = 0; ; interrupts++) {
    const result = Number(call())
    if (result >= 0) return result
    const errno = lastErrno()
    if (errno !== EINTR || interrupts >= maxInterrupts) throw new SystemCallError(action, errno)
  }
}

const O_CLOEXEC = 0o2000000

/** Opens a path read-only, or write-only, for this process alone. */
export function openFile(path: string, mode: 'read' | 'write'): number {
  const flags = (mode === 'write' ? 1 : 0) | O_CLOEXEC
  return callSystem(`open "${path}"`, () => libcCalls.open(path, flags))
}

/** Closes a descriptor. Linux frees it even when it answers EINTR, so there is nothing to repeat. */
export function closeFile(fd: number): void {
  if (libcCalls.close(fd) === 0) return
  const errno = lastErrno()
  if (errno !== EINTR) throw new SystemCallError(`close descriptor ${fd}`, errno)
}
