import { createHash } from 'node:crypto'
import { type Pod, resources, trustNames } from '../../api/index.ts'
import { type Clock, deadlineAfter, toError } from '../../base/index.ts'
import type { KubeApi } from '../../kube/index.ts'
import { type Authenticate, CallerRefusedError } from '../../rpc/index.ts'
import { ReviewSlots, type SlotRequest } from './review-slots.ts'
import { whyHopeless } from './token-claims.ts'

const acceptedForMs = 60_000
const refusedForMs = 5_000
const reviewBudgetMs = 10_000
const maxCachedTokens = 20_000
/** Of the cached tokens, so many of the oldest are looked through for a stranger's. */
const maxLookedAt = 64
const nodeNameKey = 'authentication.kubernetes.io/node-name'
const podNameKey = 'authentication.kubernetes.io/pod-name'
const podUidKey = 'authentication.kubernetes.io/pod-uid'

/** Who calls: an agent, and the node that its token is bound to. */
export interface Caller {
  readonly node: string
  readonly username: string
}

interface TokenReview {
  readonly status?: {
    readonly authenticated?: boolean
    readonly error?: string
    readonly audiences?: readonly string[]
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
 * Makes the function that finds the node of a bearer token, by TokenReview for our own audience, cached for a minute.
 * The node comes from the token's node claim; without one, from the pod that the token is bound to.
 * It throws a `CallerRefusedError` that names the reason.
 */
export function createAuthenticator(options: AuthenticateOptions): Authenticate<Caller> {
  const reviews = new Reviews(options)
  return async (token, address, signal) => {
    signal.throwIfAborted()
    const hopeless = whyHopeless(token, trustNames.audience, options.clock.nowMs())
    if (hopeless !== undefined) throw refusals[hopeless]()
    const { promise: gaveUp, reject } = Promise.withResolvers<never>()
    const giveUp = () => reject(toError(signal.reason))
    signal.addEventListener('abort', giveUp, { once: true })
    try {
      return await Promise.race([reviews.answerOf(token, address), gaveUp])
    } finally {
      signal.removeEventListener('abort', giveUp)
    }
  }
}

const projection = `a projected token with audience "${trustNames.audience}" of the agent's own pod`
const refusals = {
  'unknown-token': () =>
    new CallerRefusedError(
      'unknown-token',
      'Cannot accept the caller: its token is none of a ServiceAccount',
      `Send ${projection}`,
    ),
  'expired-token': () =>
    new CallerRefusedError(
      'expired-token',
      'Cannot accept the caller: its token has expired',
      'Read the token file again: the kubelet renews it',
    ),
  'wrong-audience': () =>
    new CallerRefusedError(
      'wrong-audience',
      `Cannot accept the caller: its token is for another audience than "${trustNames.audience}"`,
      `Send ${projection}`,
    ),
}

interface Remembered {
  readonly answer: Promise<Caller>
  untilMs: number
  wasGood: boolean
}

/** Answers by token. One review serves all who ask meanwhile, so it ends by its own time, not with the first of them. */
class Reviews {
  readonly #options: AuthenticateOptions
  readonly #slots = new ReviewSlots()
  // In the order of last use, so that the first is the one to forget.
  readonly #known = new Map<string, Remembered>()

  constructor(options: AuthenticateOptions) {
    this.#options = options
  }

  async answerOf(token: string, address: string): Promise<Caller> {
    const nowMs = this.#options.clock.nowMs()
    const key = createHash('sha256').update(token).digest('base64')
    const found = this.#known.get(key)
    const isFresh = found !== undefined && found.untilMs > nowMs
    const entry = isFresh ? found : this.#ask(token, { address, isKnown: found?.wasGood ?? false })
    this.#known.delete(key)
    this.#known.set(key, entry)
    this.#forgetOne()
    return entry.answer
  }

  /** Of many tokens the strangers' go first. */
  #forgetOne(): void {
    if (this.#known.size <= maxCachedTokens) return
    const oldest = this.#known.entries().take(maxLookedAt).toArray()
    const [key] = oldest.find(([, { wasGood }]) => !wasGood) ?? oldest[0] ?? []
    if (key !== undefined) this.#known.delete(key)
  }

  #ask(token: string, request: SlotRequest): Remembered {
    const { clock } = this.#options
    const answer = this.#slots.run(request, () => reviewInTime(this.#options, token))
    if (answer === undefined) {
      const hint = 'Repeat the call in a moment; see spiderpool_controller_refused_total for who floods it'
      throw new CallerRefusedError(
        'too-many-requests',
        'Cannot check the token now: too many wait to be checked',
        hint,
      )
    }
    const entry = { answer, untilMs: Number.POSITIVE_INFINITY, wasGood: request.isKnown }
    void answer.then(
      () => {
        entry.untilMs = clock.nowMs() + acceptedForMs
        entry.wasGood = true
      },
      (error: unknown) => {
        const isRefused = error instanceof CallerRefusedError
        // A refusal is remembered for a moment, so that a stranger cannot make us flood the API server.
        entry.untilMs = isRefused ? clock.nowMs() + refusedForMs : 0
        if (isRefused) entry.wasGood = false
      },
    )
    return entry
  }
}

async function reviewInTime(options: AuthenticateOptions, token: string): Promise<Caller> {
  using deadline = deadlineAfter(reviewBudgetMs)
  return await review(options, token, deadline.signal)
}

async function review(options: AuthenticateOptions, token: string, signal: AbortSignal): Promise<Caller> {
  const { api, agentAccount } = options
  const { audience } = trustNames
  const spec = { token, audiences: [audience] }
  const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec }
  const path = '/apis/authentication.k8s.io/v1/tokenreviews'
  const { status } = await api.request<TokenReview>('POST', path, body, signal)
  if (status?.authenticated !== true) {
    const found = status?.error ?? 'the API server does not know the token'
    throw new CallerRefusedError('unknown-token', `Cannot accept the caller: ${found}`, `Send ${projection}`)
  }
  // An API server that knows nothing of audiences would name none, and mean its own.
  if (status.audiences?.includes(audience) !== true) throw refusals['wrong-audience']()
  const username = status.user?.username ?? ''
  if (username !== `system:serviceaccount:${agentAccount.replace('/', ':')}`) {
    const hint = `Call with a token of ServiceAccount ${agentAccount}`
    throw new CallerRefusedError(
      'wrong-account',
      `Cannot accept the caller: it is "${username}", no agent`,
      hint,
    )
  }
  const extra = status.user?.extra ?? {}
  const node = extra[nodeNameKey]?.[0] ?? (await nodeOfPod(options, extra, signal))
  if (node === undefined || node === '') {
    const problem = 'Cannot accept the caller: its token is bound to no pod that is on a node'
    throw new CallerRefusedError('no-node', problem, `Send ${projection}`)
  }
  return { node, username }
}

/** For an API server that puts no node into its tokens (before Kubernetes 1.30). */
async function nodeOfPod(
  { api, agentAccount }: AuthenticateOptions,
  extra: Readonly<Record<string, readonly string[]>>,
  signal: AbortSignal,
): Promise<string | undefined> {
  const name = extra[podNameKey]?.[0]
  const uid = extra[podUidKey]?.[0]
  if (name === undefined || uid === undefined) return undefined
  const [namespace = ''] = agentAccount.split('/')
  const pod = await api.get<Pod>(resources.pod, { namespace, name }, signal)
  return pod?.metadata.uid === uid ? pod.spec?.nodeName : undefined
}
