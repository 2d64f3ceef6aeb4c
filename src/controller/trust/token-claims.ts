import { parseJson } from '../../base/index.ts'
import type { RefusalReason } from '../../rpc/index.ts'

/**
 * What a bearer token says of itself (RFC 7519), unverified: good for refusing without asking the API server, for nothing else.
 *
 * @returns why the token cannot be good; undefined when the API server has to be asked
 */
export function whyHopeless(
  token: string,
  audience: string,
  nowMs: number,
): Extract<RefusalReason, 'unknown-token' | 'expired-token' | 'wrong-audience'> | undefined {
  const claims = readClaims(token)
  if (claims === undefined) return 'unknown-token'
  const { aud, exp } = claims
  const audiences: readonly unknown[] = Array.isArray(aud) ? aud : [aud]
  if (!audiences.includes(audience)) return 'wrong-audience'
  if (typeof exp === 'number' && exp * 1000 <= nowMs) return 'expired-token'
  return undefined
}

function readClaims(token: string): { readonly aud?: unknown; readonly exp?: unknown } | undefined {
  const parts = token.split('.')
  const [head = '', body = '', signature = ''] = parts
  if (parts.length !== 3 || head === '' || signature === '') return undefined
  try {
    const value = parseJson(Buffer.from(body, 'base64url').toString('utf8'))
    return typeof value === 'object' && value !== null ? value : undefined
  } catch {
    return undefined
  }
}
