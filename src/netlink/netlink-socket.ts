// A NETLINK_ROUTE socket: netlink(7), linux/netlink.h.
import { assert } from '../base/index.ts'
import { hostIsLittleEndian, viewOf } from './codec/attribute.ts'
import { MalformedReplyError } from './codec/malformed-reply-error.ts'
import {
  decodeVerdict,
  encodeMessage,
  type Message,
  NLM_F_ACK,
  NLM_F_DUMP,
  NLM_F_DUMP_INTR,
  NLM_F_REQUEST,
  NLMSG_DONE,
  NLMSG_ERROR,
  splitMessages,
} from './codec/message.ts'
import { callSystem, closeFile, libcCalls } from './libc.ts'
import { NetlinkError } from './netlink-error.ts'

const AF_NETLINK = 16
const SOCK_RAW_CLOEXEC = 3 | 0o2000000
const NETLINK_ROUTE = 0
const SOL_SOCKET = 1
const SO_RCVTIMEO = 20
const SO_RCVBUFFORCE = 33
const SOL_NETLINK = 270
const NETLINK_CAP_ACK = 10
const NETLINK_EXT_ACK = 11
const NETLINK_GET_STRICT_CHK = 12
const MSG_TRUNC = 0x20
const addressBytes = 12

/** The kernel answers within the call that asks; this only bounds a wait that never should be. */
const receiveTimeoutSeconds = 5
const receiveBufferBytes = 1 << 20
/** The kernel fills at most 32 KiB of a dump at once; one link with many virtual functions may need more. */
const messageBufferBytes = 256 * 1024
const maxDumpTries = 20
const maxDumpMessages = 1_000_000

// One for the process: calls are synchronous, and what is kept of a message is copied.
const received = new Uint8Array(messageBufferBytes)

/** Requests and answers of one namespace: that of the thread when the socket was opened. Calls are synchronous. */
export class NetlinkSocket implements Disposable {
  readonly #fd: number
  #sequence = 0
  #isOpen = true

  private constructor(fd: number) {
    this.#fd = fd
  }

  /** Opens one in the namespace in which the calling thread is. */
  static open(): NetlinkSocket {
    const fd = callSystem('open a netlink socket', () =>
      libcCalls.socket(AF_NETLINK, SOCK_RAW_CLOEXEC, NETLINK_ROUTE),
    )
    try {
      const address = new Uint8Array(addressBytes)
      viewOf(address).setUint16(0, AF_NETLINK, hostIsLittleEndian)
      callSystem('bind a netlink socket', () => libcCalls.bind(fd, address, addressBytes))
      setOption(fd, SOL_SOCKET, SO_RCVTIMEO, timeValue(receiveTimeoutSeconds))
      setOption(fd, SOL_SOCKET, SO_RCVBUFFORCE, number32(receiveBufferBytes))
      for (const option of [NETLINK_CAP_ACK, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK]) {
        setOption(fd, SOL_NETLINK, option, number32(1))
      }
    } catch (error) {
      closeFile(fd)
      throw error
    }
    return new NetlinkSocket(fd)
  }

  /**
   * Sends a request that changes something and waits for its acknowledgement.
   * @param action for the error, such as `add link "br0"`
   * @throws {NetlinkError} when the kernel refuses
   */
  change(action: string, type: number, flags: number, payload: Uint8Array): void {
    this.#send(action, type, NLM_F_REQUEST | NLM_F_ACK | flags, payload)
    for (;;) {
      for (const message of this.#receive(action)) {
        if (message.type !== NLMSG_ERROR) continue
        throwIfRefused(action, message)
        return
      }
    }
  }

  /** Asks for one object. @throws {NetlinkError} when the kernel refuses, as with ENODEV */
  get(action: string, type: number, payload: Uint8Array): Uint8Array {
    this.#send(action, type, NLM_F_REQUEST, payload)
    for (;;) {
      const [message] = this.#receive(action)
      if (message === undefined) continue
      if (message.type === NLMSG_ERROR) throwIfRefused(action, message)
      return message.payload.slice()
    }
  }

  /**
   * Asks for all objects of a kind, again when they changed meanwhile (NLM_F_DUMP_INTR): the answer is of one state, or,
   * after 20 tries in a namespace that never rests, the last one.
   */
  dump(action: string, type: number, payload: Uint8Array): readonly Uint8Array[] {
    for (let tries = 1; ; tries++) {
      const { items, wasInterrupted } = this.#dumpOnce(action, type, payload)
      if (!wasInterrupted || tries >= maxDumpTries) return items
    }
  }

  #dumpOnce(
    action: string,
    type: number,
    payload: Uint8Array,
  ): { items: Uint8Array[]; wasInterrupted: boolean } {
    this.#send(action, type, NLM_F_REQUEST | NLM_F_DUMP, payload)
    const items: Uint8Array[] = []
    let wasInterrupted = false
    for (;;) {
      for (const message of this.#receive(action)) {
        if ((message.flags & NLM_F_DUMP_INTR) !== 0) wasInterrupted = true
        if (message.type === NLMSG_DONE || message.type === NLMSG_ERROR) {
          throwIfRefused(action, message)
          return { items, wasInterrupted }
        }
        assert(items.length < maxDumpMessages, `${action}: the dump does not end`)
        items.push(message.payload.slice())
      }
    }
  }

  #send(action: string, type: number, flags: number, payload: Uint8Array): void {
    assert(this.#isOpen, `${action}: the netlink socket is closed`)
    this.#sequence = (this.#sequence + 1) >>> 0
    const bytes = encodeMessage({ type, flags, sequence: this.#sequence, payload })
    const kernel = new Uint8Array(addressBytes)
    viewOf(kernel).setUint16(0, AF_NETLINK, hostIsLittleEndian)
    callSystem(action, () => libcCalls.sendto(this.#fd, bytes, bytes.byteLength, 0, kernel, addressBytes))
  }

  /** The messages of the next datagram that answer the last request; leftovers of an earlier one are dropped. */
  #receive(action: string): readonly Message[] {
    const from = new Uint8Array(addressBytes)
    const fromBytes = number32(addressBytes)
    const byteCount = callSystem(action, () =>
      libcCalls.recvfrom(this.#fd, received, messageBufferBytes, MSG_TRUNC, from, fromBytes),
    )
    const bytes = received.subarray(0, Math.min(byteCount, messageBufferBytes))
    if (byteCount > messageBufferBytes)
      throw new MalformedReplyError(`${byteCount} bytes in one answer`, bytes)
    // Any process may send to a netlink socket; only the kernel has port 0.
    if (viewOf(from).getUint32(4, hostIsLittleEndian) !== 0) return []
    return splitMessages(bytes).filter((message) => message.sequence === this.#sequence)
  }

  close(): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    closeFile(this.#fd)
  }

  [Symbol.dispose](): void {
    this.close()
  }
}

function throwIfRefused(action: string, message: Message): void {
  // A dump that ends may carry no number at all.
  if (message.type === NLMSG_DONE && message.payload.byteLength < 4) return
  const { errno, text } = decodeVerdict(message)
  if (errno !== 0) throw new NetlinkError(action, errno, text)
}

function setOption(fd: number, level: number, name: number, value: Uint8Array): void {
  const action = `set option ${name} of a netlink socket`
  callSystem(action, () => libcCalls.setsockopt(fd, level, name, value, value.byteLength))
}

function number32(value: number): Uint8Array {
  const bytes = new Uint8Array(4)
  viewOf(bytes).setUint32(0, value, hostIsLittleEndian)
  return bytes
}

/** struct timeval with 64-bit fields. */
function timeValue(seconds: number): Uint8Array {
  const bytes = new Uint8Array(16)
  viewOf(bytes).setBigInt64(0, BigInt(seconds), hostIsLittleEndian)
  return bytes
}
