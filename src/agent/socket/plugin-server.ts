import { lstat, mkdir, stat, unlink } from 'node:fs/promises'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { dirname } from 'node:path'
import { InvalidInputError, type Logger, OperationError, toError } from '../../base/index.ts'
import { decodeRequest, encodeAnswer, type PluginAnswer, type PluginRequest, requestLength } from './frame.ts'

/** Answers one plugin call. `signal` aborts when the caller is gone; it never rejects. */
export type PluginHandler = (request: PluginRequest, signal: AbortSignal) => Promise<PluginAnswer>

/** The agent's socket. */
export interface PluginServer {
  /** Stops accepting, lets calls under way finish for `graceMs`, then ends them. */
  close(graceMs: number): Promise<void>
}

const maxConnections = 2048
const frameBudgetMs = 10_000

/** The socket cannot be opened. */
export class SocketError extends OperationError {
  override readonly code = 'SOCKET_UNUSABLE'
  override readonly retry = 'after-change'
}

/**
 * Opens the unix socket for plugins: only root may connect, for the socket is 0600 in a folder that only root may change.
 * @throws {SocketError} when another agent serves there, or others may change its folder
 */
export async function servePlugins(
  path: string,
  handler: PluginHandler,
  logger: Logger,
): Promise<PluginServer> {
  await prepareFolder(path)
  const calls = new Set<Promise<void>>()
  const sockets = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket)
    const call = serveOne(socket, handler, logger).finally(() => {
      sockets.delete(socket)
      calls.delete(call)
    })
    calls.add(call)
  })
  server.maxConnections = maxConnections
  await listen(server, path)
  return {
    close: async (graceMs) => {
      const closed = Promise.withResolvers<void>()
      server.close(() => {
        closed.resolve()
      })
      const timer = setTimeout(() => {
        for (const socket of sockets) socket.destroy()
      }, graceMs)
      await Promise.allSettled(calls)
      clearTimeout(timer)
      for (const socket of sockets) socket.destroy()
      await closed.promise
    },
  }
}

async function serveOne(socket: Socket, handler: PluginHandler, logger: Logger): Promise<void> {
  const gone = new AbortController()
  const onClose = (): void => {
    gone.abort(new DOMException('the caller is gone', 'AbortError'))
  }
  socket.once('close', onClose)
  socket.on('error', (error) => {
    logger.debug('plugin connection broke', { err: error })
  })
  try {
    const frame = await readFrame(socket)
    const answer = await handler(decodeRequest(frame), gone.signal)
    socket.off('close', onClose)
    socket.end(encodeAnswer(answer))
  } catch (error) {
    logger.warn('plugin request refused', { err: error })
    const { message } = toError(error)
    const hint = error instanceof OperationError ? error.hint : 'see the log of the agent'
    const stdout = JSON.stringify({ code: 6, msg: message, details: `frame: ${hint}` })
    socket.end(encodeAnswer({ exitCode: 1, stdout: `${stdout}\n` }))
  }
  socket.resume() // so that the end of the caller is noticed and the socket closes
}

function readFrame(socket: Socket): Promise<Uint8Array> {
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>()
  const chunks: Buffer[] = []
  let bytes = 0
  let wanted: number | undefined
  const refuse = (problem: string): void => {
    reject(new InvalidInputError('frame', bytes, problem, 'send one whole request'))
  }
  const timer = setTimeout(() => {
    refuse(`is not complete after ${frameBudgetMs} ms`)
  }, frameBudgetMs)
  const onEnd = (): void => {
    refuse('is cut short')
  }
  socket.once('end', onEnd)
  socket.once('close', onEnd)
  const onData = (chunk: Buffer): void => {
    chunks.push(chunk)
    bytes += chunk.length
    try {
      wanted ??= requestLength(joined(chunks)) // unknown only while there are fewer than 8 bytes
    } catch (error) {
      reject(toError(error))
      return
    }
    if (wanted === undefined || bytes < wanted) return
    if (bytes > wanted) refuse(`is longer than the ${wanted} bytes that it says`)
    else resolve(joined(chunks))
  }
  socket.on('data', onData)
  return promise.finally(() => {
    clearTimeout(timer)
    socket.off('data', onData)
    socket.off('end', onEnd)
    socket.off('close', onEnd)
  })
}

/** Most frames come in one piece. */
function joined(chunks: readonly Buffer[]): Buffer {
  const [first] = chunks
  return chunks.length === 1 && first !== undefined ? first : Buffer.concat(chunks)
}

async function prepareFolder(path: string): Promise<void> {
  const folder = dirname(path)
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const { uid, mode } = await stat(folder)
  const own = process.getuid?.() ?? 0
  if (uid !== own || (mode & 0o022) !== 0)
    throw new SocketError(
      `Cannot open the socket "${path}": others than its owner may change the folder (mode ${(mode & 0o777).toString(8)})`,
      `chown ${own} ${folder} && chmod 0700 ${folder}`,
    )
  const found = await lstat(path).catch(() => undefined)
  if (found === undefined) return
  if (!found.isSocket())
    throw new SocketError(
      `Cannot open the socket "${path}": a file is there`,
      'remove it, or choose another --socket',
    )
  await requireUnserved(path)
  await unlink(path) // left by an agent that was killed
}

/** @throws {SocketError} when another agent serves the socket: what belongs to it must not be touched */
export async function requireUnserved(path: string): Promise<void> {
  if (!(await isServed(path))) return
  throw new SocketError(`Cannot open the socket "${path}": another agent serves it`, 'stop that agent first')
}

/** Whether a process accepts connections at this path. */
export function isServed(path: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const probe = connect(path)
  probe.once('connect', () => {
    probe.destroy()
    resolve(true)
  })
  probe.once('error', () => {
    resolve(false)
  })
  return promise
}

function listen(server: Server, path: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const mask = process.umask(0o177) // bound as 0600: there is no moment in which others may connect
  server.once('error', (cause) => {
    reject(
      new SocketError(`Cannot open the socket "${path}": ${cause.message}`, 'choose another --socket', {
        cause,
      }),
    )
  })
  server.listen({ path, backlog: 1024 }, resolve)
  process.umask(mask) // bind happens inside listen()
  return promise
}
