import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type Clock, type Logger, systemClock } from '../../base/index.ts'
import { Tokens } from './auth/tokens.ts'
import { bootstrap } from './bootstrap.ts'
import type { ServerContext } from './context.ts'
import { expireEvents } from './event-expiry.ts'
import { Listener, type ListenerFiles } from './http/listener.ts'
import { Registry } from './kinds/registry.ts'
import { followCrds } from './rest/crd-lifecycle.ts'
import type { HistoryLimits } from './store/history.ts'
import { defaultHistory, Store } from './store/store.ts'

/**
 * An API server that speaks the HTTP API of Kubernetes, for one machine. It authenticates client certificates of its own
 * authority and ServiceAccount tokens that it issued; anonymous requests reach /healthz, /readyz, /livez and /version
 * alone. There is no authorization: every authenticated identity may do everything, and access reviews say so.
 * Bodies are JSON (YAML is accepted only where it is JSON). Nothing but objects and what follows from them directly
 * happens here: workload controllers, scheduler, kubelets and the garbage collector are processes of their own.
 */
export interface ApiServerOptions {
  /** Folder of the store; made when it is not there. */
  readonly storeFolder: string
  /** Address to listen on. */
  readonly host: string
  /** 0 takes any free port. */
  readonly port: number
  /** Serving certificate, authority of client certificates, and the EC P-256 key that signs tokens; all PEM. */
  readonly keys: ListenerFiles & { readonly tokenKeyPem: string }
  readonly logger: Logger
  readonly clock?: Clock
  /** How many changes watches can go back. */
  readonly history?: HistoryLimits
}

export interface ApiServer {
  readonly port: number
  readonly url: string
  /** Resolves when the store cannot be written any more: end the process, so that it is started again. */
  readonly died: Promise<Error>
  /** Ends watches, waits for writes under way, closes the store. */
  close(): Promise<void>
}

/** Opens the store and serves it. @throws {JournalError} when another server has the store open */
export async function startApiServer(options: ApiServerOptions, signal: AbortSignal): Promise<ApiServer> {
  const { storeFolder, keys, logger, clock = systemClock, history = defaultHistory } = options
  await mkdir(storeFolder, { recursive: true, mode: 0o700 })
  const store = await Store.open(join(storeFolder, 'store.db'), signal, history)
  const stop = new AbortController()
  const tokens = new Tokens(keys.tokenKeyPem)
  const registry = new Registry()
  const context: ServerContext = { store, registry, tokens, clock, logger, stopping: stop.signal }
  followCrds(context)
  await bootstrap(context, keys.caPem)
  const expiry = expireEvents(context)
  const listener = new Listener(context, keys)
  const port = await listener.listen(options.host, options.port)
  const url = `https://${options.host}:${port}`
  logger.info('api server serves', { url, version: store.head })
  const close = async (): Promise<void> => {
    stop.abort()
    await listener.close()
    await expiry
    await store.close()
  }
  return { port, url, died: store.died, close }
}
