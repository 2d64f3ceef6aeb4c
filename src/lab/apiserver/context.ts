import type { Clock, Logger } from '../../base/index.ts'
import type { Tokens } from './auth/tokens.ts'
import type { Registry } from './kinds/registry.ts'
import type { Store } from './store/store.ts'

/** What all handlers share. */
export interface ServerContext {
  readonly store: Store
  readonly registry: Registry
  readonly tokens: Tokens
  readonly clock: Clock
  readonly logger: Logger
  /** Aborted when the server stops. */
  readonly stopping: AbortSignal
}

/** Now, in whole seconds, as timestamps of the API are written. */
export function nowIso(context: ServerContext, addSeconds = 0): string {
  return isoSeconds(context.clock.nowMs() + addSeconds * 1000)
}

export function isoSeconds(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`
}
