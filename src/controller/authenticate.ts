import { createHash } from 'node:crypto'
import { type Pod, resources } from '../api/index.ts'
import { type Clock, OperationError, type Retry } from '../base/index.ts'
import type { KubeApi } from '../kube/index.ts'

const acceptedForMs = 60_000
const refusedForMs = 5_000
const maxCachedTokens = 20_000
const nodeNameKey = 'authentication.kubernetes.io/node-name'
const podNameKey = 'authentication.kubernetes.io/pod-name'

/** Who calls: an agent, and the node that its token is bound to. */
export interface Caller {
  readonly node: string
  readonly username: string
}

/** The token is missing, unknown, expired, for another audience, of another account, or of no node. */
export class UnauthenticatedError extends OperationError {
  override readonly code = 'UNAUTHENTICATED'
  override readonly retry: Retry = 'later'
}

interface TokenReview {
  readonly status?: {
    readonly authenticated?: boolean
    readonly error?: string
    readonly user?: {
      readonly username?: string
      readonly extra?: Readonly<Record<string, readonly string[]>>
    }
  }
}

export interface AuthenticateOptions {
  readonly api: KubeApi
  /** ServiceAccount of the agents, `namespace/name`. */
  readonly agentAccount: string
  readonly clock: Clock
}

/**
 * Makes the function that finds the node of a bearer token, by TokenReview, cached for a minute.
 * The node comes from the token's node claim; without one, from the pod that the token is bound to.
 */
export function createAuthenticator(
  options: AuthenticateOptions,
): (token: string, signal: AbortSignal) => Promise<Caller> {
  const cache = new Map<string, { readonly answer: Promise<Caller>; untilMs: number }>()
  return async (token, signal) => {
    const key = createHash('sha256').update(token).digest('base64')
    const nowMs = options.clock.nowMs()
    const known = cache.get(key)
    if (known !== undefined && known.untilMs > nowMs) return known.answer
    const answer = review(options, token, signal)
    const entry = { answer, untilMs: nowMs + acceptedForMs }
    cache.delete(key)
    cache.set(key, entry)
    const oldest = cache.keys().next()
    if (cache.size > maxCachedTokens && oldest.done !== true) cache.delete(oldest.value)
    try {
      return await answer
    } catch (error) {
      // A refusal is remembered for a moment, so that a stranger cannot make us flood the API server.
      if (error instanceof UnauthenticatedError) entry.untilMs = nowMs + refusedForMs
      else cache.delete(key)
      throw error
    }
  }
}

async function review(options: AuthenticateOptions, token: string, signal: AbortSignal): Promise<Caller> {
  const { api, agentAccount } = options
  const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec: { token } }
  const path = '/apis/authentication.k8s.io/v1/tokenreviews'
  const { status } = await api.request<TokenReview>('POST', path, body, signal)
  if (status?.authenticated !== true) {
    const found = status?.error ?? 'the API server does not know the token'
    throw new UnauthenticatedError(`Cannot accept the caller: ${found}`, 'Renew the token of the agent')
  }
  const username = status.user?.username ?? ''
  if (username !== `system:serviceaccount:${agentAccount.replace('/', ':')}`) {
    const hint = `Call with a token of ServiceAccount ${agentAccount}`
    throw new UnauthenticatedError(`Cannot accept the caller: it is "${username}", no agent`, hint)
  }
  const extra = status.user?.extra ?? {}
  const node = extra[nodeNameKey]?.[0] ?? (await nodeOfPod(options, extra[podNameKey]?.[0], signal))
  if (node === undefined || node === '') {
    const hint = 'Use a token that is bound to the pod of the agent (a projected ServiceAccount token)'
    throw new UnauthenticatedError('Cannot accept the caller: its token is bound to no node', hint)
  }
  return { node, username }
}

async function nodeOfPod(
  { api, agentAccount }: AuthenticateOptions,
  name: string | undefined,
  signal: AbortSignal,
): Promise<string | undefined> {
  if (name === undefined) return undefined
  const [namespace = ''] = agentAccount.split('/')
  const pod = await api.get<Pod>(resources.pod, { namespace, name }, signal)
  return pod?.spec?.nodeName
}
