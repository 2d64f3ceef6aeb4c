import { createPrivateKey, KeyObject, X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import { createSecureContext } from 'node:tls'
import { toError } from '../../base/index.ts'

/** The four texts of a set of certificates, PEM, as a Secret keeps them; '' for what is not there. */
export interface CertificateTexts {
  /** The authorities that callers shall trust. */
  readonly caBundle: string
  readonly caKey: string
  readonly cert: string
  readonly key: string
}

/** One authority of the bundle. */
export interface Authority {
  readonly pem: string
  readonly subject: string
  readonly startMs: number
  readonly endMs: number
}

/** A serving certificate that fits its key and was signed by an authority of the bundle. */
export interface Serving {
  /** Index of the authority that signed it. */
  readonly issuer: number
  readonly startMs: number
  readonly endMs: number
  /** DNS names and IP addresses. */
  readonly names: readonly string[]
}

/** What a set of certificates is good for. */
export interface CertificateFacts {
  readonly authorities: readonly Authority[]
  /** Index of the authority whose key we have. */
  readonly signer: number | undefined
  readonly serving: Serving | undefined
  /** What is wrong, in words; what is not there yet is no fault. */
  readonly faults: readonly string[]
}

/** Reads certificates and keys. Whatever the texts are, it gives an answer. */
export function readFacts(texts: CertificateTexts): CertificateFacts {
  const faults: string[] = []
  const bundle = parseBundle(texts.caBundle, 'ca.crt', faults)
  const signer = findSigner(bundle, texts.caKey, faults)
  const serving = readServing(bundle, texts, faults)
  return { authorities: bundle.map(authorityOf), signer, serving, faults }
}

/** The certificates of a PEM text; what cannot be read is left out. */
export function certificatesOf(pem: string): readonly X509Certificate[] {
  return blocksOf(pem).flatMap((block) => {
    try {
      return [new X509Certificate(block)]
    } catch {
      return []
    }
  })
}

/** DNS names and IP addresses that a certificate is for. */
export function namesOf(certificate: X509Certificate): readonly string[] {
  const text = certificate.subjectAltName ?? ''
  return text.split(', ').flatMap((part) => {
    const name = /^(?:DNS|IP Address):(.+)$/.exec(part)?.[1]
    return name === undefined ? [] : [isIP(name) === 6 ? shortIp6(name) : name]
  })
}

/** Why a key does not fit a certificate; undefined when it does. */
export function keyFault(certificate: X509Certificate, keyPem: string): string | undefined {
  const key = parseKey(keyPem)
  if (!(key instanceof KeyObject)) return `is no private key (${key.fault})`
  return certificate.checkPrivateKey(key) ? undefined : 'is the key of another certificate'
}

/** True when `authority` signed `certificate`. */
export function isSignedBy(certificate: X509Certificate, authority: X509Certificate): boolean {
  return certificate.checkIssued(authority) && certificate.verify(authority.publicKey)
}

function parseBundle(pem: string, field: string, faults: string[]): readonly X509Certificate[] {
  if (pem === '') return []
  const found = certificatesOf(pem)
  const authorities = found.filter((certificate) => certificate.ca)
  if (found.length < blocksOf(pem).length) faults.push(`${field} holds a certificate that cannot be read`)
  if (found.length === 0) faults.push(`${field} holds no PEM certificate`)
  if (authorities.length < found.length) faults.push(`${field} holds a certificate that is no authority`)
  return authorities
}

function findSigner(
  bundle: readonly X509Certificate[],
  keyPem: string,
  faults: string[],
): number | undefined {
  if (keyPem === '') return undefined
  const key = parseKey(keyPem)
  if (!(key instanceof KeyObject)) {
    faults.push(`ca.key is no private key (${key.fault})`)
    return undefined
  }
  if (key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') {
    faults.push('ca.key is not an ECDSA P-256 key')
    return undefined
  }
  const index = bundle.findIndex((certificate) => certificate.checkPrivateKey(key))
  if (index >= 0) return index
  faults.push('ca.key is the key of no certificate in ca.crt')
  return undefined
}

function readServing(
  bundle: readonly X509Certificate[],
  { cert, key }: CertificateTexts,
  faults: string[],
): Serving | undefined {
  if (cert === '' && key === '') return undefined
  const [leaf] = certificatesOf(cert)
  if (leaf === undefined) {
    faults.push('tls.crt holds no PEM certificate')
    return undefined
  }
  const fault = keyFault(leaf, key)
  if (fault !== undefined) {
    faults.push(`tls.key ${fault}`)
    return undefined
  }
  const weakness = refusalOf(cert, key)
  if (weakness !== undefined) {
    faults.push(`tls.crt and tls.key cannot serve: ${weakness}`)
    return undefined
  }
  const issuer = bundle.findIndex((authority) => isSignedBy(leaf, authority))
  if (issuer < 0) {
    faults.push('tls.crt was signed by no authority in ca.crt')
    return undefined
  }
  return { issuer, ...lifeOf(leaf), names: namesOf(leaf) }
}

/** Why TLS does not take a certificate and its key, as for a key that is too short; undefined when it does. */
function refusalOf(cert: string, key: string): string | undefined {
  try {
    createSecureContext({ cert, key, minVersion: 'TLSv1.2' })
    return undefined
  } catch (error) {
    return toError(error).message
  }
}

function authorityOf(certificate: X509Certificate): Authority {
  const { subject } = certificate
  return { pem: `${certificate.toString().trim()}\n`, subject, ...lifeOf(certificate) }
}

/** When a certificate begins and ends, in milliseconds since the epoch. */
export function lifeOf(certificate: X509Certificate): { readonly startMs: number; readonly endMs: number } {
  return { startMs: Date.parse(certificate.validFrom), endMs: Date.parse(certificate.validTo) }
}

function parseKey(pem: string): KeyObject | { readonly fault: string } {
  try {
    return createPrivateKey(pem)
  } catch (error) {
    return { fault: toError(error).message }
  }
}

function blocksOf(pem: string): readonly string[] {
  return pem.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? []
}

// OpenSSL writes all eight groups; a URL's host brings the short form (RFC 5952).
function shortIp6(text: string): string {
  return URL.parse(`https://[${text}]`)?.hostname.slice(1, -1) ?? text
}
