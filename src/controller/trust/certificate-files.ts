import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { type Clock, type Logger, OperationError, toError } from '../../base/index.ts'
import { certificatesOf, isSignedBy, keyFault, lifeOf, namesOf } from './certificate-facts.ts'
import { type CertificateSource, type Certificates, CurrentCertificates } from './certificate-source.ts'

export interface CertificateFiles {
  readonly certFile: string
  readonly keyFile: string
  readonly caFile: string
}

export interface CertificateFilesOptions {
  readonly files: CertificateFiles
  /** The name by which agents verify the controller. */
  readonly serverName: string
  readonly clock: Clock
  readonly logger: Logger
}

/** A certificate file that cannot be served by. */
export class CertificateFileError extends OperationError {
  override readonly code = 'CERTIFICATE_FILE'
  override readonly retry = 'after-change'
}

const pollMs = 5_000

/**
 * Certificates that somebody else keeps in files, such as cert-manager in a mounted Secret; they are read again as they change.
 *
 * @throws {CertificateFileError} naming the file, what was found and the remedy
 */
export async function openCertificateFiles(options: CertificateFilesOptions): Promise<CertificateSource> {
  const found = await readCertificateFiles(options.files)
  checkCertificates(found, options.files, options.clock.nowMs())
  warnOfName(found, options)
  return new WatchedFiles(options, found)
}

class WatchedFiles implements CertificateSource {
  readonly #options: CertificateFilesOptions
  readonly #current: CurrentCertificates
  #complaint = ''

  constructor(options: CertificateFilesOptions, current: Certificates) {
    this.#options = options
    this.#current = new CurrentCertificates(current)
  }

  get current(): Certificates {
    return this.#current.value
  }

  onChange(listener: (now: Certificates) => void): void {
    this.#current.onChange(listener)
  }

  async follow(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options
    while (!signal.aborted) {
      await clock.sleep(pollMs, signal).catch(() => undefined)
      if (!signal.aborted) await this.#look()
    }
  }

  tend(): Promise<number> {
    return Promise.resolve(pollMs)
  }

  published(): Promise<void> {
    return Promise.resolve()
  }

  /** What cannot be used is told once; what we have goes on being served. */
  async #look(): Promise<void> {
    const { files, clock, logger } = this.#options
    try {
      const found = await readCertificateFiles(files)
      checkCertificates(found, files, clock.nowMs())
      if (this.#current.set(found)) {
        logger.info('certificates loaded', { file: files.certFile })
        warnOfName(found, this.#options)
      }
      this.#complaint = ''
    } catch (thrown) {
      const error = toError(thrown)
      if (error.message === this.#complaint) return
      this.#complaint = error.message
      const hint = error instanceof OperationError ? error.hint : ''
      logger.error('certificate files not usable, the earlier ones stay', { err: error, hint })
    }
  }
}

async function readCertificateFiles({ certFile, keyFile, caFile }: CertificateFiles): Promise<Certificates> {
  const [cert, key, caBundle] = await Promise.all([certFile, keyFile, caFile].map(readText))
  return { cert: cert ?? '', key: key ?? '', caBundle: caBundle ?? '' }
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (cause) {
    const hint = 'Mount the Secret with tls.crt, tls.key and ca.crt, readable by the controller'
    throw new CertificateFileError(`Cannot read "${file}": ${toError(cause).message}`, hint, { cause })
  }
}

function checkCertificates(
  { cert, key, caBundle }: Certificates,
  files: CertificateFiles,
  nowMs: number,
): void {
  const { certFile, keyFile, caFile } = files
  const [leaf, ...intermediates] = certificatesOf(cert)
  if (leaf === undefined)
    throw refusal(certFile, 'it holds no PEM certificate', 'Put the chain there, leaf first')
  const fault = keyFault(leaf, key)
  if (fault !== undefined) {
    throw refusal(keyFile, `it ${fault}`, `Put the key of the first certificate of "${certFile}" there`)
  }
  const { startMs, endMs } = lifeOf(leaf)
  if (nowMs >= endMs) throw refusal(certFile, `it expired at ${leaf.validTo}`, 'Renew the certificate')
  if (nowMs < startMs) {
    throw refusal(certFile, `it is not valid before ${leaf.validFrom}`, 'Check the clock of this machine')
  }
  const authorities = certificatesOf(caBundle)
  if (authorities.length === 0)
    throw refusal(caFile, 'it holds no PEM certificate', `Put the authority of "${certFile}" there`)
  if (![leaf, ...intermediates].some((one) => authorities.some((ca) => isTrustedBy(one, ca)))) {
    const found = `none of its authorities signed "${certFile}", which is of ${leaf.issuer.replaceAll('\n', ', ')}`
    throw refusal(caFile, found, 'Put the authority that signed the certificate there')
  }
}

function isTrustedBy(certificate: X509Certificate, authority: X509Certificate): boolean {
  return certificate.fingerprint256 === authority.fingerprint256 || isSignedBy(certificate, authority)
}

function refusal(file: string, found: string, hint: string): CertificateFileError {
  return new CertificateFileError(`Cannot serve with "${file}": ${found}`, hint)
}

function warnOfName({ cert }: Certificates, { serverName, files, logger }: CertificateFilesOptions): void {
  const leaf = new X509Certificate(cert)
  if (leaf.checkHost(serverName) !== undefined) return
  const fields = { file: files.certFile, names: namesOf(leaf), missing: serverName }
  logger.warn('the certificate lacks the name by which agents know the controller', fields)
}
