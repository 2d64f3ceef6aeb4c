import { type webcrypto, X509Certificate } from 'node:crypto'
import { InvalidInputError } from '../base/index.ts'

/** A certificate and its private key, both PEM; the key is PKCS #8. */
export interface KeyPair {
  readonly certPem: string
  readonly keyPem: string
}

export interface CertificateRequest {
  readonly commonName: string
  /** Kubernetes reads them as the groups of a client. */
  readonly organizations?: readonly string[]
  readonly dnsNames?: readonly string[]
  readonly ipAddresses?: readonly string[]
  /** May be a fraction; at least one second. */
  readonly days: number
  readonly usages: readonly ('server' | 'client')[]
}

type X509 = typeof import('@peculiar/x509')

const algorithm = { name: 'ECDSA', namedCurve: 'P-256' } as const
const signingAlgorithm = { name: 'ECDSA', hash: 'SHA-256' } as const
/** Certificates begin so long before they are made: machines whose clocks differ a little must accept a fresh one. */
export const backdateMs: number = 5 * 60_000
const dayMs = 86_400_000
const minDays = 1 / 86_400
const maxDays = 36_500

/**
 * Makes a self-signed authority (ECDSA P-256) that may sign end certificates only.
 *
 * @param commonName name of the authority
 * @param days how long it is valid, up to 36500; may be a fraction, of one second at least
 * @throws {InvalidInputError} when `days` is out of range or the name is empty
 */
export async function createCa(commonName: string, days: number): Promise<KeyPair> {
  checkSubject(commonName, days)
  const x509 = await library()
  const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: subject({ commonName }),
    ...validity(days),
    keys,
    signingAlgorithm,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return { certPem: pem(certificate), keyPem: await exportKey(keys.privateKey) }
}

/**
 * Makes a key and a certificate for it, signed by `ca`.
 *
 * @param ca what `createCa` gave
 * @throws {InvalidInputError} when `ca` or a field of `request` cannot be used
 */
export async function issueCertificate(ca: KeyPair, request: CertificateRequest): Promise<KeyPair> {
  checkSubject(request.commonName, request.days)
  const x509 = await library()
  const issuer = readCa(x509, ca)
  const caKey = await importKey(ca.keyPem)
  const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const names = [
    ...(request.dnsNames ?? []).map((value) => ({ type: 'dns' as const, value })),
    ...(request.ipAddresses ?? []).map((value) => ({ type: 'ip' as const, value })),
  ]
  const usages = request.usages.map((usage) =>
    usage === 'server' ? x509.ExtendedKeyUsage.serverAuth : x509.ExtendedKeyUsage.clientAuth,
  )
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: subject(request),
    issuer: issuer.subjectName,
    ...validity(request.days, issuer.notAfter),
    publicKey: keys.publicKey,
    signingKey: caKey,
    signingAlgorithm,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      ...(usages.length === 0 ? [] : [new x509.ExtendedKeyUsageExtension(usages)]),
      ...(names.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension(names)]),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
    ],
  })
  return { certPem: pem(certificate), keyPem: await exportKey(keys.privateKey) }
}

/** Milliseconds since the epoch at which the certificate ends. @throws {InvalidInputError} when it is not PEM */
export function certificateEndMs(certPem: string): number {
  try {
    return Date.parse(new X509Certificate(certPem).validTo)
  } catch {
    throw new InvalidInputError('certificate', certPem, 'is not a PEM certificate', 'give a PEM certificate')
  }
}

// Loaded on first use: it takes 100 ms and 20 MB that a daemon with ready certificates need not pay.
async function library(): Promise<X509> {
  await import('reflect-metadata')
  const x509 = await import('@peculiar/x509')
  x509.cryptoProvider.set(crypto)
  return x509
}

function checkSubject(commonName: string, days: number): void {
  if (commonName === '' || commonName.length > 64) {
    const problem = 'is not 1 to 64 characters long'
    throw new InvalidInputError(
      'commonName',
      commonName,
      problem,
      'give a name of that length (RFC 5280 A.1)',
    )
  }
  if (!(days >= minDays && days <= maxDays)) {
    const problem = `is not between one second and ${maxDays} days`
    throw new InvalidInputError('days', days, problem, 'give a number of days in that range')
  }
}

function readCa(x509: X509, ca: KeyPair): InstanceType<X509['X509Certificate']> {
  try {
    return new x509.X509Certificate(ca.certPem)
  } catch {
    throw new InvalidInputError(
      'ca.certPem',
      ca.certPem,
      'is not a PEM certificate',
      'give what createCa made',
    )
  }
}

function subject(request: {
  commonName: string
  organizations?: readonly string[]
}): Record<string, string[]>[] {
  const organizations = (request.organizations ?? []).map((name) => ({ O: [name] }))
  return [...organizations, { CN: [request.commonName] }]
}

function validity(days: number, notLaterThan?: Date): { notBefore: Date; notAfter: Date } {
  const now = Date.now()
  const end = now + days * dayMs
  return {
    notBefore: new Date(now - backdateMs),
    notAfter: new Date(Math.min(end, notLaterThan?.getTime() ?? end)),
  }
}

// 127 random bits: positive and never empty, as RFC 5280 4.1.2.2 asks.
function serialNumber(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40
  return Buffer.from(bytes).toString('hex')
}

function pem(certificate: { toString(format: 'pem'): string }): string {
  return `${certificate.toString('pem').trim()}\n`
}

async function exportKey(key: webcrypto.CryptoKey): Promise<string> {
  const der = Buffer.from(await crypto.subtle.exportKey('pkcs8', key))
  const lines = der.toString('base64').match(/.{1,64}/g) ?? []
  return `-----BEGIN PRIVATE KEY-----\n${lines.join('\n')}\n-----END PRIVATE KEY-----\n`
}

async function importKey(keyPem: string): Promise<webcrypto.CryptoKey> {
  const base64 = keyPem.replace(/-----[^-]+-----|\s/g, '')
  try {
    return await crypto.subtle.importKey('pkcs8', Buffer.from(base64, 'base64'), algorithm, false, ['sign'])
  } catch {
    throw new InvalidInputError(
      'ca.keyPem',
      '(hidden)',
      'is not an ECDSA P-256 key',
      'give what createCa made',
    )
  }
}
