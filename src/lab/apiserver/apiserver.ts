import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type Clock, type Logger, systemClock } from '../../base/index.ts'
import { Tokens } from './auth/tokens.ts'
import { bootstrap } from './bootstrap.ts'
import type { ServerContext } from './context.ts'
import { expireEvents } from './event-expiry.ts'
import { Listener } from './http/listener.ts'
import { Registry } from './kinds/registry.ts'
import { adminKubeconfig, loadKeys, writeWhole } from './pki-files.ts'
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
  /** Folder of everything: `apiserver/store.db`, `pki/`, `kubeconfig`. */
  readonly folder: string
  /** 0 takes any free port. */
  readonly port: number
  readonly logger: Logger
  readonly clock?: Clock
  /** How many changes watches can go back. */
  readonly history?: HistoryLimits
}

export interface ApiServer {
  readonly port: number
  readonly url: string
  /** Path of the administrator's kubeconfig. */
  readonly kubeconfig: string
  /** Ends watches, waits for writes under way, closes the store. */
  close(): Promise<void>
}

const host = '127.0.0.1'

/** Opens the store and serves it on 127.0.0.1. @throws {JournalError} when another server has the store open */
export async function startApiServer(options: ApiServerOptions, signal: AbortSignal): Promise<ApiServer> {
  const { folder, logger, clock = systemClock, history = defaultHistory } = options
  await mkdir(join(folder, 'apiserver'), { recursive: true, mode: 0o700 })
  const keys = await loadKeys(join(folder, 'pki'), clock.nowMs())
  const store = await Store.open(join(folder, 'apiserver', 'store.db'), signal, history)
  const stop = new AbortController()
  const tokens = new Tokens(keys.tokenKeyPem)
  const registry = new Registry()
  const context: ServerContext = { store, registry, tokens, clock, logger, stopping: stop.signal }
  followCrds(context)
  await bootstrap(context, keys.ca.certPem)
  const expiry = expireEvents(context)
  const listener = new Listener(context, { ...keys.serving, caPem: keys.ca.certPem })
  const port = await listener.listen(host, options.port)
  const url = `https://${host}:${port}`
  const kubeconfig = join(folder, 'kubeconfig')
  await writeWhole(kubeconfig, adminKubeconfig(keys, url))
  logger.info('api server serves', { url, version: store.head })
  const close = async (): Promise<void> => {
    stop.abort()
    await listener.close()
    await expiry
    await store.close()
  }
  return { port, url, kubeconfig, close }
}
