import { readFile, stat } from 'node:fs/promises'
import type https from 'node:https'
import { nodeHttps, OperationError } from '../base/index.ts'

/** Where the authorities are, PEM. */
export type AuthoritiesSource =
  | { readonly pem: string }
  | { readonly file: string }
  | { readonly read: (signal: AbortSignal) => Promise<string> }

export interface ConnectorOptions {
  readonly ca: AuthoritiesSource
}

/** There is no authority yet by which the controller could be trusted. */
class NoAuthorityError extends OperationError {
  override readonly code = 'NO_AUTHORITY'
  override readonly retry = 'later'
}

const maxSockets = 64
const caCheckMs = 5_000
/** A certificate that is not trusted makes us read the authorities again, at most this often. */
const rereadMs = 500

/** Keeps the connections to the controller, and the authorities by which it is trusted. */
export class Connector {
  readonly #options: ConnectorOptions
  #agent: https.Agent | undefined
  #pem = ''
  #stamp = ''
  #readAtMs = Number.NEGATIVE_INFINITY
  #isDoubted = false
  #reading: Promise<string> | undefined

  constructor(options: ConnectorOptions) {
    this.#options = options
  }

  /** An agent that trusts the authorities as they are now. */
  async agent(signal: AbortSignal): Promise<https.Agent> {
    const pem = await this.#authorities(signal)
    if (this.#agent === undefined || pem !== this.#pem) {
      this.#pem = pem
      // Calls under way keep their connections; idle ones of the earlier agent end by themselves.
      this.#agent = this.#makeAgent(pem)
    }
    return this.#agent
  }

  /** Hears why a call failed: the controller's authority may be a new one. */
  noteFailure(error: NodeJS.ErrnoException): void {
    if (distrust.has(error.code ?? '')) this.#isDoubted = true
  }

  close(): void {
    this.#agent?.destroy()
    this.#agent = undefined
  }

  async #authorities(signal: AbortSignal): Promise<string> {
    const { ca } = this.#options
    if ('pem' in ca) return ca.pem
    const sinceMs = performance.now() - this.#readAtMs
    if ('file' in ca) return sinceMs >= caCheckMs ? this.#readFile(ca.file) : this.#pem
    const isNeeded = this.#pem === '' || this.#isDoubted
    if (!isNeeded || (sinceMs < rereadMs && this.#pem !== '')) return this.#pem
    this.#reading ??= this.#read(ca.read, signal).finally(() => {
      this.#reading = undefined
    })
    try {
      return await this.#reading
    } catch (error) {
      // Some replica may still be trusted by what we have.
      if (this.#pem === '') throw error
      return this.#pem
    }
  }

  async #read(read: (signal: AbortSignal) => Promise<string>, signal: AbortSignal): Promise<string> {
    const pem = await read(signal)
    if (pem === '') {
      const hint = 'Wait for the leader of the controller to publish it, or give --controller-ca FILE'
      throw new NoAuthorityError('the authority of the controller is not published yet', hint)
    }
    this.#readAtMs = performance.now()
    this.#isDoubted = false
    return pem
  }

  async #readFile(file: string): Promise<string> {
    const { mtimeMs, size, ino } = await stat(file)
    const stamp = `${mtimeMs}:${size}:${ino}`
    const pem = stamp === this.#stamp ? this.#pem : await readFile(file, 'utf8')
    this.#stamp = stamp
    this.#readAtMs = performance.now()
    return pem
  }

  #makeAgent(ca: string): https.Agent {
    return new (nodeHttps().Agent)({
      keepAlive: true,
      keepAliveMsecs: 10_000,
      maxSockets,
      maxFreeSockets: 8,
      scheduling: 'lifo',
      ca,
      minVersion: 'TLSv1.2',
    })
  }
}

/** Codes of OpenSSL and Node for a certificate of an authority that we do not know, or know no more. */
const distrust: ReadonlySet<string> = new Set([
  'CERT_HAS_EXPIRED',
  'CERT_SIGNATURE_FAILURE',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
])
