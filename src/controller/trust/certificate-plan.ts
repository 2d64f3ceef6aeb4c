import { backdateMs } from '../../rpc/index.ts'
import type { CertificateFacts, Serving } from './certificate-facts.ts'

/** How long certificates live, and what they are for. */
export interface CertificatePolicy {
  readonly caSeconds: number
  readonly certSeconds: number
  /** A new authority is known for so long before anything is signed by it; the old one is trusted for so long after. */
  readonly overlapSeconds: number
  /** DNS names and IP addresses that the serving certificate must have. */
  readonly names: readonly string[]
}

/** When the authorities were told to all who read them. */
export interface Publication {
  /** SHA-256 of the bundle, hexadecimal. */
  readonly hash: string
  readonly atMs: number
}

/** What is to be done next. `kept` are indexes of authorities that stay in the bundle. */
export type CertificatePlan =
  | { readonly kind: 'keep'; readonly nextMs: number }
  /** A new authority, and a serving certificate by it at once: there is none to go on with. */
  | { readonly kind: 'make-all'; readonly reason: string; readonly kept: readonly number[] }
  /** A new authority is made known; the serving certificate stays for now. */
  | { readonly kind: 'add-authority'; readonly reason: string; readonly kept: readonly number[] }
  | { readonly kind: 'issue'; readonly reason: string; readonly names: readonly string[] }
  | { readonly kind: 'drop-authorities'; readonly reason: string; readonly kept: readonly number[] }

const maxAuthorities = 3
const maxNames = 32

/** Decides on the next step of a managed set of certificates. The same facts and time give the same plan. */
export function planCertificates(
  facts: CertificateFacts,
  policy: CertificatePolicy,
  seen: { readonly nowMs: number; readonly bundleHash: string; readonly published: Publication | undefined },
): CertificatePlan {
  const { nowMs } = seen
  const { authorities, signer } = facts
  const serving = facts.serving !== undefined && facts.serving.endMs > nowMs ? facts.serving : undefined
  const alive = authorities.flatMap(({ endMs }, index) => (endMs > nowMs ? [index] : []))
  const newAuthority = whyNewAuthority(facts, policy, nowMs)
  if (newAuthority !== undefined) {
    const kept = alive.slice(0, maxAuthorities - 1)
    const canGoOn = serving !== undefined && kept.includes(serving.issuer)
    return { kind: canGoOn ? 'add-authority' : 'make-all', reason: newAuthority, kept }
  }
  if (serving === undefined) {
    const reason =
      facts.serving === undefined ? 'no usable serving certificate' : 'the serving certificate expired'
    return { kind: 'issue', reason, names: policy.names }
  }
  const dueMs = serving.endMs - lifeMs(serving, policy.certSeconds) / 3
  if (serving.issuer !== signer) return planHandOver(serving, policy, seen)
  const missing = policy.names.filter((name) => !serving.names.includes(name))
  if (missing.length > 0) {
    const names = [...new Set([...policy.names, ...serving.names])].slice(0, maxNames)
    return { kind: 'issue', reason: `the serving certificate lacks ${missing.join(', ')}`, names }
  }
  if (nowMs >= dueMs)
    return { kind: 'issue', reason: 'the serving certificate is in its last third', names: serving.names }
  const settledMs = serving.startMs + backdateMs + policy.overlapSeconds * 1000
  const isOnlyOne = authorities.length === 1 && facts.faults.length === 0
  if (!isOnlyOne && nowMs >= settledMs)
    return { kind: 'drop-authorities', reason: 'nothing in use is signed by them', kept: [serving.issuer] }
  return { kind: 'keep', nextMs: isOnlyOne ? dueMs : Math.min(dueMs, settledMs) }
}

function whyNewAuthority(
  { authorities, signer, faults }: CertificateFacts,
  { caSeconds }: CertificatePolicy,
  nowMs: number,
): string | undefined {
  const authority = signer === undefined ? undefined : authorities[signer]
  if (authority === undefined) return faults.length === 0 ? 'there is none yet' : 'none of them has its key'
  if (authority.endMs <= nowMs) return 'the authority expired'
  const isDue = nowMs >= authority.endMs - lifeMs(authority, caSeconds) / 3
  return isDue ? 'the authority is in its last third' : undefined
}

/** The authority that signs is a new one: its certificate is served when everybody had time to learn of it. */
function planHandOver(
  serving: Serving,
  policy: CertificatePolicy,
  seen: { readonly nowMs: number; readonly bundleHash: string; readonly published: Publication | undefined },
): CertificatePlan {
  const { nowMs, bundleHash, published } = seen
  const { names } = serving
  const isPublished = published?.hash === bundleHash
  const knownMs = isPublished ? published.atMs + policy.overlapSeconds * 1000 : Number.POSITIVE_INFINITY
  if (nowMs >= knownMs) return { kind: 'issue', reason: 'the new authority is known everywhere', names }
  // Better one that some do not know yet than one that all refuse.
  const lastMs = serving.endMs - lifeMs(serving, policy.certSeconds) / 6
  if (nowMs >= lastMs) return { kind: 'issue', reason: 'the serving certificate is about to expire', names }
  return { kind: 'keep', nextMs: Math.min(knownMs, lastMs) }
}

/** A certificate may have been cut to its authority's end, and made under another policy than today's. */
function lifeMs(
  { startMs, endMs }: { readonly startMs: number; readonly endMs: number },
  seconds: number,
): number {
  const wholeMs = endMs - startMs
  return Math.min(seconds * 1000, wholeMs > backdateMs ? wholeMs - backdateMs : wholeMs)
}
