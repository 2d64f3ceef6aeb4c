import { createHash } from 'node:crypto'
import { type Pod, resources } from '../api/index.ts'
import { type Clock, deadlineAfter, OperationError, type Retry, toError } from '../base/index.ts'
import type { KubeApi } from '../kube/index.ts'

const acceptedForMs = 60_000
const refusedForMs = 5_000
const reviewBudgetMs = 10_000
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
  const reviews = new Reviews(options)
  return async (token, signal) => {
    signal.throwIfAborted()
    const { promise: gaveUp, reject } = Promise.withResolvers<never>()
    const giveUp = () => reject(toError(signal.reason))
    signal.addEventListener('abort', giveUp, { once: true })
    try {
      return await Promise.race([reviews.answerOf(token), gaveUp])
    } finally {
      signal.removeEventListener('abort', giveUp)
    }
  }
}

interface Remembered {
  readonly answer: Promise<Caller>
  untilMs: number
}

/** Answers by token. One review serves all who ask meanwhile, so it ends by its own time, not with the first of them. */
class Reviews {
  readonly #options: AuthenticateOptions
  // In the order of last use, so that the first is the one to forget.
  readonly #known = new Map<string, Remembered>()

  constructor(options: AuthenticateOptions) {
    this.#options = options
  }

  answerOf(token: string): Promise<Caller> {
    const nowMs = this.#options.clock.nowMs()
    const key = createHash('sha256').update(token).digest('base64')
    const found = this.#known.get(key)
    const entry = found !== undefined && found.untilMs > nowMs ? found : this.#ask(key, token, nowMs)
    this.#known.delete(key)
    this.#known.set(key, entry)
    const oldest = this.#known.keys().next()
    if (this.#known.size > maxCachedTokens && oldest.done !== true) this.#known.delete(oldest.value)
    return entry.answer
  }

  #ask(key: string, token: string, nowMs: number): Remembered {
    const entry = { answer: reviewInTime(this.#options, token), untilMs: nowMs + acceptedForMs }
    entry.answer.catch((error: unknown) => {
      // A refusal is remembered for a moment, so that a stranger cannot make us flood the API server.
      if (error instanceof UnauthenticatedError) entry.untilMs = this.#options.clock.nowMs() + refusedForMs
      else if (this.#known.get(key) === entry) this.#known.delete(key)
    })
    return entry
  }
}

async function reviewInTime(options: AuthenticateOptions, token: string): Promise<Caller> {
  using deadline = deadlineAfter(reviewBudgetMs)
  return await review(options, token, deadline.signal)
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
