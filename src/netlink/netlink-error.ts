import { OperationError, type Retry } from '../base/index.ts'
import { describeErrno, retryOf } from './system-call-error.ts'

/** A netlink request that the kernel refused. Decide on `errnoName`; `kernelText` is the kernel's own explanation. */
export class NetlinkError extends OperationError {
  override readonly code: string
  override readonly retry: Retry
  /** Such as `EEXIST` (is there already), `ESRCH` or `ENODEV` (is not there), `EBUSY`. */
  readonly errnoName: string
  readonly kernelText: string | undefined

  constructor(action: string, errno: number, kernelText?: string) {
    const [name, meaning] = describeErrno(errno)
    const hint =
      name === 'EPERM' ? 'Run it as root, with CAP_NET_ADMIN' : 'Compare with ip -d link, addr, route, rule'
    super(`Cannot ${action}: ${name}, ${kernelText ?? meaning}`, hint)
    this.code = `NETLINK_${name}`
    this.errnoName = name
    this.kernelText = kernelText
    this.retry = retryOf(name)
  }
}

/** True when the kernel refused because the object is there already. */
export function isAlreadyThere(error: unknown): boolean {
  return error instanceof NetlinkError && error.errnoName === 'EEXIST'
}

const awayNames = new Set(['ESRCH', 'ENODEV', 'ENOENT', 'EADDRNOTAVAIL'])

/** True when the kernel refused because the object, or its link, is not there. */
export function isAway(error: unknown): boolean {
  return error instanceof NetlinkError && awayNames.has(error.errnoName)
}
