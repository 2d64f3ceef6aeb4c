import type { ServerResponse } from 'node:http'
import type { Identity } from '../auth/identity.ts'
import type { ResourcePath } from '../http/request-path.ts'
import type { Kind } from '../kinds/kind.ts'

/** One authenticated request. */
export interface Call {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly identity: Identity
  readonly contentType: string | undefined
  readonly userAgent: string
  readonly accept: string | undefined
  /** Aborted when the client goes away or the server stops. */
  readonly signal: AbortSignal
  /** The raw body; empty for none. */
  readonly body: Buffer
  /** Texts for `Warning` headers of the answer. */
  readonly warnings: string[]
}

/** The kind and the place of the object or collection that a request is about. */
export interface Target {
  readonly kind: Kind
  readonly path: ResourcePath
}

/** What a handler answers with: JSON text, or a stream that it writes itself. */
export type Answer =
  | { readonly kind: 'json'; readonly status: number; readonly text: string; readonly contentType?: string }
  | { readonly kind: 'text'; readonly status: number; readonly text: string }
  | { readonly kind: 'stream'; run(response: ServerResponse): Promise<void> }

export function jsonAnswer(text: string, status = 200): Answer {
  return { kind: 'json', status, text }
}
