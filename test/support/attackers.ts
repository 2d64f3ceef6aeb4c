// What strangers do to a port that everybody can reach. They come from an address of their own: another of the loopback.
import { once } from 'node:events'
import net from 'node:net'
import tls from 'node:tls'

const reopenMs = 5_000

/** Where to strike, and from where. */
export interface Target {
  readonly port: number
  /** Local address of the attacker. */
  readonly from: string
}

/** Connections that are opened anew as the server drops them. */
export class ConnectionFlood {
  readonly #target: Target
  readonly #sockets = new Set<net.Socket>()
  #isOver = false
  /** So many were opened, and so many ended by the server or refused. */
  opened = 0
  dropped = 0

  constructor(target: Target, count: number) {
    this.#target = target
    for (let i = 0; i < count; i += 1) this.#open()
  }

  stop(): void {
    this.#isOver = true
    for (const socket of this.#sockets) socket.destroy()
  }

  #open(): void {
    const { port, from } = this.#target
    const socket = net.connect({ host: '127.0.0.1', port, localAddress: from })
    this.#sockets.add(socket)
    this.opened += 1
    socket.on('error', () => undefined).resume()
    socket.once('close', () => {
      this.#sockets.delete(socket)
      if (this.#isOver) return
      this.dropped += 1
      setTimeout(() => {
        if (!this.#isOver) this.#open()
      }, reopenMs)
    })
  }
}

/**
 * Sends `head` at once, then a byte each half second, and resolves when the server has had enough.
 * @returns seconds that it was patient
 */
export async function slowLoris({ port, from }: Target, head: string): Promise<number> {
  const startMs = performance.now()
  const raw = net.connect({ host: '127.0.0.1', port, localAddress: from })
  raw.on('error', () => undefined)
  const socket = tls.connect({ socket: raw, rejectUnauthorized: false })
  const closed = once(socket.on('error', () => undefined).resume(), 'close')
  socket.write(head)
  const trickle = setInterval(() => socket.write('x'), 500)
  await closed
  clearInterval(trickle)
  return (performance.now() - startMs) / 1000
}
