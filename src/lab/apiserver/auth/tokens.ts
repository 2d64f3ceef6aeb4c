import {
  createHash,
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  randomUUID,
  sign,
  verify,
} from 'node:crypto'
import { parseJson } from '../../../base/index.ts'
import { isObject, type JsonObject, listAt, objectAt, ownValue, stringAt } from '../schema/record.ts'

export const issuer = 'https://kubernetes.default.svc.cluster.local'

/** An object that a token lives and dies with. */
export interface BoundRef {
  readonly kind: 'pod' | 'node' | 'secret'
  readonly name: string
  readonly uid: string
}

export interface TokenSubject {
  readonly namespace: string
  readonly account: { readonly name: string; readonly uid: string }
  readonly bound: readonly BoundRef[]
}

export interface TokenClaims extends TokenSubject {
  readonly id: string
  readonly audiences: readonly string[]
}

/** Makes and checks ServiceAccount tokens: JWTs of RFC 7519, signed with ES256, claims as Kubernetes issues them. */
export class Tokens {
  readonly #privateKey: KeyObject
  readonly #publicKey: KeyObject
  readonly #keyId: string

  /** @param keyPem an EC P-256 private key */
  constructor(keyPem: string) {
    this.#privateKey = createPrivateKey(keyPem)
    this.#publicKey = createPublicKey(this.#privateKey)
    const der = this.#publicKey.export({ type: 'spki', format: 'der' })
    this.#keyId = createHash('sha256').update(der).digest('base64url')
  }

  issue(subject: TokenSubject, audiences: readonly string[], nowMs: number, seconds: number): string {
    const nowSeconds = Math.floor(nowMs / 1000)
    const bound = subject.bound.map(({ kind, name, uid }) => [kind, { name, uid }])
    const payload = {
      aud: audiences,
      exp: nowSeconds + seconds,
      iat: nowSeconds,
      iss: issuer,
      jti: randomUUID(),
      'kubernetes.io': {
        namespace: subject.namespace,
        serviceaccount: subject.account,
        ...Object.fromEntries(bound),
      },
      nbf: nowSeconds,
      sub: `system:serviceaccount:${subject.namespace}:${subject.account.name}`,
    }
    const text = `${encode({ alg: 'ES256', kid: this.#keyId })}.${encode(payload)}`
    const key = { key: this.#privateKey, dsaEncoding: 'ieee-p1363' } as const
    return `${text}.${sign('sha256', Buffer.from(text), key).toString('base64url')}`
  }

  /** @returns the claims, or why the token is refused */
  verify(token: string, nowMs: number): TokenClaims | string {
    const [head = '', body = '', signature = '', ...more] = token.split('.')
    if (signature === '' || more.length > 0) return 'it is not a JWT'
    const header = decode(head)
    if (header === undefined || stringAt(header, 'alg') !== 'ES256') return 'it is not signed with ES256'
    const key = { key: this.#publicKey, dsaEncoding: 'ieee-p1363' } as const
    const bytes = Buffer.from(signature, 'base64url')
    if (!verify('sha256', Buffer.from(`${head}.${body}`), key, bytes)) return 'this server did not sign it'
    return readClaims(decode(body), nowMs)
  }
}

function encode(value: JsonObject): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

function decode(part: string): JsonObject | undefined {
  try {
    const value = parseJson(Buffer.from(part, 'base64url').toString())
    return isObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

const leewaySeconds = 10

function readClaims(payload: JsonObject | undefined, nowMs: number): TokenClaims | string {
  const own = objectAt(payload, 'kubernetes.io')
  const account = objectAt(own, 'serviceaccount')
  if (payload === undefined || own === undefined || account === undefined)
    return 'it is no ServiceAccount token'
  const nowSeconds = nowMs / 1000
  if (Number(ownValue(payload, 'exp')) < nowSeconds) return 'it has expired'
  if (Number(ownValue(payload, 'nbf')) > nowSeconds + leewaySeconds) return 'it is not valid yet'
  const bound = (['pod', 'node', 'secret'] as const).flatMap((kind): BoundRef[] => {
    const ref = objectAt(own, kind)
    return ref === undefined
      ? []
      : [{ kind, name: stringAt(ref, 'name') ?? '', uid: stringAt(ref, 'uid') ?? '' }]
  })
  return {
    id: stringAt(payload, 'jti') ?? '',
    audiences: listAt(payload, 'aud').map(String),
    namespace: stringAt(own, 'namespace') ?? '',
    account: { name: stringAt(account, 'name') ?? '', uid: stringAt(account, 'uid') ?? '' },
    bound,
  }
}
