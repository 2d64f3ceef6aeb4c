import type { Socket } from 'node:net'

export interface ConnectionLimits {
  /** Connections that have not shown a token, of one remote address. */
  readonly maxUntrustedPerAddress: number
  /** The same, of all addresses. */
  readonly maxUntrusted: number
}

interface Connection {
  readonly socket: Pick<Socket, 'destroy'>
  readonly address: string
  /** A whole request of it is being answered. */
  isBusy: boolean
}

type SocketEnds = Pick<Socket, 'remoteAddress' | 'remotePort'>

/**
 * The connections of which nobody knows yet whose they are. One more than the limit costs the oldest that waits: a stranger who
 * opens thousands only displaces himself, and an agent shows its token within moments, which takes its connection out of here.
 */
export class UntrustedConnections {
  readonly #limits: ConnectionLimits
  readonly #onDropped: () => void
  // Oldest first. Keyed by the ends: a TLS socket and the socket below it have them in common.
  readonly #byEnds = new Map<string, Connection>()
  readonly #byAddress = new Map<string, Set<string>>()

  constructor(limits: ConnectionLimits, onDropped: () => void) {
    this.#limits = limits
    this.#onDropped = onDropped
  }

  get size(): number {
    return this.#byEnds.size
  }

  /** Takes in a new connection, and drops one where it is one too many. */
  add(socket: Socket): void {
    const address = socket.remoteAddress ?? ''
    const ends = endsOf(socket)
    this.#byEnds.set(ends, { socket, address, isBusy: false })
    const ofAddress = this.#byAddress.get(address) ?? new Set()
    this.#byAddress.set(address, ofAddress.add(ends))
    socket.once('close', () => this.#remove(ends))
    if (ofAddress.size > this.#limits.maxUntrustedPerAddress) this.#dropOne(ofAddress)
    if (this.size > this.#limits.maxUntrusted) this.#dropOne(this.#byEnds.keys())
  }

  /** Its caller is known: it counts no more. */
  trust(socket: SocketEnds): void {
    this.#remove(endsOf(socket))
  }

  /** While a request of it is being answered it is not dropped. */
  setBusy(socket: SocketEnds, isBusy: boolean): void {
    const connection = this.#byEnds.get(endsOf(socket))
    if (connection !== undefined) connection.isBusy = isBusy
  }

  /** The oldest that is not busy; the newest is always among them. */
  #dropOne(candidates: Iterable<string>): void {
    for (const ends of candidates) {
      const connection = this.#byEnds.get(ends)
      if (connection === undefined || connection.isBusy) continue
      this.#remove(ends)
      this.#onDropped()
      connection.socket.destroy()
      return
    }
  }

  #remove(ends: string): void {
    const connection = this.#byEnds.get(ends)
    if (connection === undefined) return
    this.#byEnds.delete(ends)
    const ofAddress = this.#byAddress.get(connection.address)
    ofAddress?.delete(ends)
    if (ofAddress?.size === 0) this.#byAddress.delete(connection.address)
  }
}

function endsOf({ remoteAddress = '', remotePort = 0 }: SocketEnds): string {
  return `${remoteAddress} ${remotePort}`
}
