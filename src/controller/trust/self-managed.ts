import { isIP } from 'node:net'
import { type Clock, type Logger, toError } from '../../base/index.ts'
import type { EventRecorder, KubeApi } from '../../kube/index.ts'
import { createCa, issueCertificate, type KeyPair } from '../../rpc/index.ts'
import { type CertificateTexts, readFacts } from './certificate-facts.ts'
import { type CertificatePlan, type CertificatePolicy, planCertificates } from './certificate-plan.ts'
import {
  type CertificateSecret,
  changeSecret,
  createSecret,
  hashOf,
  publicationOf,
  readSecret,
  type SecretRef,
  textsOf,
} from './certificate-secret.ts'
import { type CertificateSource, type Certificates, CurrentCertificates } from './certificate-source.ts'

export interface SelfManagedOptions {
  readonly api: KubeApi
  readonly secret: SecretRef
  readonly policy: CertificatePolicy
  readonly clock: Clock
  readonly logger: Logger
  readonly events: EventRecorder
}

/** Every replica reads the Secret again at least this often. */
const maxPollMs = 10_000
const minPollMs = 250
const openRetryMs = 1_000
const secondsOfDay = 86_400

/**
 * Certificates that the product makes for itself and keeps in a Secret. Any replica makes the Secret, the leader alone writes it
 * from then on, each write on the version that it read.
 *
 * @returns when there is something to serve with, however long the API server is away
 */
export async function openSelfManaged(
  options: SelfManagedOptions,
  signal: AbortSignal,
): Promise<CertificateSource> {
  const { api, secret, policy, clock, logger } = options
  for (;;) {
    try {
      const found = await readSecret(api, secret, signal)
      const stored = found ?? (await createSecret(api, secret, await makeAll([], policy), signal))
      if (stored !== undefined) return new SelfManaged(options, await usableOf(stored, options))
    } catch (error) {
      signal.throwIfAborted()
      logger.warn('certificates cannot be read yet', { secret: nameOf(secret), err: toError(error) })
    }
    await clock.sleep(openRetryMs, signal)
  }
}

/** A broken Secret is the leader's to mend: until then a replica serves by itself, trusted by nobody, and can be elected. */
async function usableOf(
  stored: CertificateSecret,
  { logger, policy, secret }: SelfManagedOptions,
): Promise<Certificates> {
  const texts = textsOf(stored)
  const { serving, faults } = readFacts(texts)
  if (serving !== undefined) return texts
  logger.warn('the Secret of the certificates is broken', { secret: nameOf(secret), faults })
  return makeAll([], policy)
}

class SelfManaged implements CertificateSource {
  readonly #options: SelfManagedOptions
  readonly #current: CurrentCertificates
  readonly #pollMs: number

  constructor(options: SelfManagedOptions, current: Certificates) {
    this.#options = options
    this.#current = new CurrentCertificates(current)
    this.#pollMs = Math.min(maxPollMs, Math.max(minPollMs, (options.policy.overlapSeconds * 1000) / 4))
  }

  get current(): Certificates {
    return this.#current.value
  }

  onChange(listener: (now: Certificates) => void): void {
    this.#current.onChange(listener)
  }

  async follow(signal: AbortSignal): Promise<void> {
    const { api, secret, clock, logger } = this.#options
    while (!signal.aborted) {
      try {
        await clock.sleep(this.#pollMs, signal)
        const found = await readSecret(api, secret, signal)
        if (found !== undefined) this.#adopt(textsOf(found))
      } catch (error) {
        if (!signal.aborted) logger.warn('certificates not read again', { err: toError(error) })
      }
    }
  }

  async tend(signal: AbortSignal): Promise<number> {
    const { api, secret, policy, clock } = this.#options
    const found = await readSecret(api, secret, signal)
    if (found === undefined) {
      // Somebody deleted it: what we serve by goes on, but its authority's key is lost.
      const bundle = certificatesKept(this.current.caBundle)
      const made = await createSecret(api, secret, await makeAll(bundle, policy), signal)
      if (made !== undefined) this.#adopt(textsOf(made))
      return 0
    }
    const texts = textsOf(found)
    const facts = readFacts(texts)
    const nowMs = clock.nowMs()
    const seen = { nowMs, bundleHash: hashOf(texts.caBundle), published: publicationOf(found) }
    const plan = planCertificates(facts, policy, seen)
    this.#adopt(texts)
    if (plan.kind === 'keep') return Math.min(this.#pollMs, Math.max(minPollMs, plan.nextMs - nowMs))
    const authorities = facts.authorities.map(({ pem }) => pem)
    const next = await carryOut(plan, texts, { authorities, signer: facts.signer ?? 0, policy })
    const written = await changeSecret(api, found, { texts: next }, signal)
    if (written === undefined) return 0
    this.#report(plan, facts.faults)
    this.#adopt(textsOf(written))
    return 0
  }

  async published(caBundle: string, signal: AbortSignal): Promise<void> {
    const { api, secret, clock } = this.#options
    const hash = hashOf(caBundle)
    const found = await readSecret(api, secret, signal)
    if (found === undefined || publicationOf(found)?.hash === hash) return
    if (hashOf(textsOf(found).caBundle) !== hash) return
    await changeSecret(api, found, { published: { hash, atMs: clock.nowMs() } }, signal)
  }

  #adopt(texts: CertificateTexts): void {
    if (readFacts(texts).serving === undefined) return
    const { cert, key, caBundle } = texts
    if (this.#current.set({ cert, key, caBundle })) this.#options.logger.info('certificates loaded')
  }

  #report(plan: Exclude<CertificatePlan, { kind: 'keep' }>, faults: readonly string[]): void {
    const { logger, events, secret } = this.#options
    const { kind, reason } = plan
    if (faults.length === 0) {
      logger.info('certificates renewed', { step: kind, reason })
      return
    }
    logger.warn('certificates repaired', { step: kind, reason, faults })
    const subject = { apiVersion: 'v1', kind: 'Secret', metadata: secret }
    events.event(subject, 'Warning', 'CertificatesRepaired', `${faults.join('; ')}: made anew`)
  }
}

interface Situation {
  readonly authorities: readonly string[]
  readonly signer: number
  readonly policy: CertificatePolicy
}

async function carryOut(
  plan: Exclude<CertificatePlan, { kind: 'keep' }>,
  texts: CertificateTexts,
  { authorities, signer, policy }: Situation,
): Promise<CertificateTexts> {
  switch (plan.kind) {
    case 'make-all':
      return makeAll(pick(authorities, plan.kept), policy)
    case 'add-authority': {
      const ca = await makeAuthority(policy)
      const caBundle = [ca.certPem, ...pick(authorities, plan.kept)].join('')
      return { ...texts, caBundle, caKey: ca.keyPem }
    }
    case 'issue': {
      const certPem = authorities[signer] ?? ''
      const issued = await issue({ certPem, keyPem: texts.caKey }, policy, plan.names)
      return { ...texts, cert: issued.certPem, key: issued.keyPem }
    }
    case 'drop-authorities':
      return { ...texts, caBundle: pick(authorities, plan.kept).join('') }
    default:
      return plan satisfies never
  }
}

async function makeAll(kept: readonly string[], policy: CertificatePolicy): Promise<CertificateTexts> {
  const ca = await makeAuthority(policy)
  const { certPem, keyPem } = await issue(ca, policy, policy.names)
  return { caBundle: [ca.certPem, ...kept].join(''), caKey: ca.keyPem, cert: certPem, key: keyPem }
}

/** Each authority has a name of its own, so that a verifier never tries the key of another. */
async function makeAuthority({ caSeconds }: CertificatePolicy): Promise<KeyPair> {
  const name = `spiderpool-controller-ca-${new Date().toISOString()}`
  return createCa(name, caSeconds / secondsOfDay)
}

async function issue(
  ca: KeyPair,
  { certSeconds }: CertificatePolicy,
  names: readonly string[],
): Promise<KeyPair> {
  return issueCertificate(ca, {
    commonName: 'spiderpool-controller',
    dnsNames: names.filter((name) => isIP(name) === 0),
    ipAddresses: names.filter((name) => isIP(name) !== 0),
    days: certSeconds / secondsOfDay,
    usages: ['server'],
  })
}

function pick(authorities: readonly string[], indexes: readonly number[]): readonly string[] {
  return indexes.flatMap((index) => authorities[index] ?? [])
}

function nameOf({ namespace, name }: SecretRef): string {
  return `${namespace}/${name}`
}

function certificatesKept(caBundle: string): readonly string[] {
  const facts = readFacts({ caBundle, caKey: '', cert: '', key: '' })
  return facts.authorities.slice(0, 1).map(({ pem }) => pem)
}
