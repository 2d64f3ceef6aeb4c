import { getSystemErrorMap } from 'node:util'
import { OperationError, type Retry } from '../base/index.ts'

const unknownErrno: readonly [string, string] = ['EUNKNOWN', 'unknown error']

/** Name and meaning of an errno of the host, such as `['EEXIST', 'file already exists']`. */
export function describeErrno(errno: number): readonly [name: string, meaning: string] {
  return getSystemErrorMap().get(-errno) ?? unknownErrno
}

const passing = new Set(['EAGAIN', 'EBUSY', 'EINTR', 'ENOBUFS', 'ENOMEM', 'EMFILE', 'ENFILE'])

/** What repeating a refused system call may bring. */
export function retryOf(errnoName: string): Retry {
  return passing.has(errnoName) ? 'later' : 'after-change'
}

/** A system call that the kernel refused. Decide on `errnoName`. */
export class SystemCallError extends OperationError {
  override readonly code: string
  override readonly retry: Retry
  /** The kernel's name of the reason, such as `ENOENT`. */
  readonly errnoName: string

  constructor(action: string, errno: number) {
    const [name, meaning] = describeErrno(errno)
    super(`Cannot ${action}: ${name}, ${meaning}`, hintOf(name))
    this.code = `SYSTEM_${name}`
    this.errnoName = name
    this.retry = retryOf(name)
  }
}

function hintOf(errnoName: string): string {
  if (errnoName === 'EPERM' || errnoName === 'EACCES')
    return 'Run it as root, with CAP_NET_ADMIN and CAP_SYS_ADMIN'
  if (errnoName === 'ENOENT') return 'See whether the path is right and still there'
  if (errnoName === 'EMFILE' || errnoName === 'ENFILE') return 'Raise the limit of open files'
  return 'See the kernel log (dmesg) for more'
}
