import { OperationError } from '../../base/index.ts'

const maxShownBytes = 256

/** A message of the kernel that does not follow its own headers; carries its first bytes in hex. */
export class MalformedReplyError extends OperationError {
  override readonly code = 'NETLINK_MALFORMED'
  override readonly retry = 'later'
  constructor(problem: string, bytes: Uint8Array) {
    const hex = Buffer.from(bytes.subarray(0, maxShownBytes)).toString('hex')
    super(
      `Cannot read a netlink message: ${problem} in ${hex}`,
      'Report it with the kernel version (uname -r)',
    )
  }
}
