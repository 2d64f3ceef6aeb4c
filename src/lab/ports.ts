import { createServer, type ListenOptions, type Server } from 'node:net'
import { InvalidInputError } from '../base/index.ts'

const preferredApiPort = 16_443
const host = '127.0.0.1'

/** A port for an API server that does not listen on it yet; no other lab gets it until it is disposed of. */
export interface HeldPort extends AsyncDisposable {
  readonly port: number
}

/**
 * Chooses the port of the embedded API server: the asked one, or 16443, or any.
 * @throws {InvalidInputError} when the asked one is not free
 */
export async function holdApiPort(asked: number | undefined): Promise<HeldPort> {
  if (asked === undefined) return holdPort(preferredApiPort).catch(async () => holdPort(await freePort(0)))
  try {
    return await holdPort(asked)
  } catch {
    throw new InvalidInputError('--port', asked, 'is in use', 'name a free port, or leave it out')
  }
}

/** So many free ports, each another one. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const ports = new Set<number>()
  while (ports.size < count) ports.add(await freePort(0))
  return [...ports]
}

/** A port alone is free until something listens on it; two labs that start at once both find it so. A socket of its name is held. */
async function holdPort(port: number): Promise<HeldPort> {
  const holder = await listen({ path: `\0spiderpool-lab-port-${port}` })
  const release = () => close(holder)
  try {
    await freePort(port)
  } catch (error) {
    await release()
    throw error
  }
  return { port, [Symbol.asyncDispose]: release }
}

/** @param wanted 0 for any */
async function freePort(wanted: number): Promise<number> {
  const server = await listen({ host, port: wanted })
  const address = server.address()
  await close(server)
  return typeof address === 'object' && address !== null ? address.port : wanted
}

function listen(where: ListenOptions): Promise<Server> {
  const { promise, resolve, reject } = Promise.withResolvers<Server>()
  const server = createServer()
  server.once('error', reject)
  server.listen(where, () => resolve(server))
  return promise
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()))
}
