import type { TLSSocket } from 'node:tls'
import { recordKey } from '../store/record.ts'
import type { Store } from '../store/store.ts'
import type { Identity } from './identity.ts'
import { issuer, type TokenClaims, type Tokens } from './tokens.ts'

const authenticated = 'system:authenticated'

/** The identity in a client certificate: CN is the user, O are the groups (RFC 5280 subject). */
export function certificateIdentity(socket: TLSSocket): Identity | undefined {
  if (!socket.authorized) return undefined
  const { subject } = socket.getPeerCertificate()
  const username = firstOf(subject?.CN)
  if (username === undefined) return undefined
  const groups: string | readonly string[] = subject.O ?? []
  const list = typeof groups === 'string' ? [groups] : groups
  return { username, uid: '', groups: [...list, authenticated], extra: {} }
}

function firstOf(value: string | readonly string[] | undefined): string | undefined {
  return typeof value === 'string' ? value : value?.[0]
}

/** The identity that a bearer token gives for the API server itself, or why it gives none. */
export function tokenIdentity(token: string, store: Store, tokens: Tokens, nowMs: number): Identity | string {
  const review = reviewToken(token, { store, tokens, nowMs, audiences: [issuer] })
  return typeof review === 'string' ? review : review.identity
}

interface ReviewContext {
  readonly store: Store
  readonly tokens: Tokens
  readonly nowMs: number
  readonly audiences: readonly string[]
}

/** Checks signature, time, audience, account and bound objects. @returns why the token is refused, as text */
export function reviewToken(
  token: string,
  context: ReviewContext,
): { readonly identity: Identity; readonly audiences: readonly string[] } | string {
  const claims = context.tokens.verify(token, context.nowMs)
  if (typeof claims === 'string') return claims
  const audiences = context.audiences.filter((audience) => claims.audiences.includes(audience))
  if (audiences.length === 0)
    return `it is for the audiences ${JSON.stringify(claims.audiences)}, not ${JSON.stringify(context.audiences)}`
  const missing = missingObject(claims, context.store)
  return missing ?? { identity: identityOf(claims), audiences }
}

function missingObject(claims: TokenClaims, store: Store): string | undefined {
  const { namespace, account, bound } = claims
  const refs = [{ kind: 'serviceaccount', ...account }, ...bound]
  for (const { kind, name, uid } of refs) {
    const record = store.get(`/${kind}s`, recordKey(kind === 'node' ? '' : namespace, name))
    // A pod token also names its node, for information: a node that is gone does not end the pod's token.
    if (kind === 'node' && bound.some((ref) => ref.kind === 'pod')) continue
    if (record?.object.metadata.uid !== uid)
      return `the ${kind} "${name}" with uid ${uid} that it is bound to is gone`
  }
  return undefined
}

function identityOf(claims: TokenClaims): Identity {
  const { namespace, account, bound } = claims
  const extras = bound
    .filter(({ kind }) => kind !== 'secret')
    .flatMap(({ kind, name, uid }) => [
      [`authentication.kubernetes.io/${kind}-name`, [name]] as const,
      [`authentication.kubernetes.io/${kind}-uid`, [uid]] as const,
    ])
  return {
    username: `system:serviceaccount:${namespace}:${account.name}`,
    uid: account.uid,
    groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, authenticated],
    extra: {
      'authentication.kubernetes.io/credential-id': [`JTI=${claims.id}`],
      ...Object.fromEntries(extras),
    },
  }
}
