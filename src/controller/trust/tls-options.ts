import { controllerServerName, trustNames } from '../../api/index.ts'
import { InvalidInputError } from '../../base/index.ts'
import type { CertificateFiles } from './certificate-files.ts'
import type { CertificatePolicy } from './certificate-plan.ts'

/** Where the serving certificate comes from. */
export type TlsOptions =
  | { readonly mode: 'self-managed'; readonly secretName: string; readonly policy: CertificatePolicy }
  | { readonly mode: 'files'; readonly files: CertificateFiles }

export const tlsFlags = {
  'tls-mode': { type: 'string', default: 'self-managed' },
  'tls-secret': { type: 'string', default: 'spiderpool-controller-tls' },
  'ca-seconds': { type: 'string', default: '315360000' },
  'cert-seconds': { type: 'string', default: '31536000' },
  'ca-overlap-seconds': { type: 'string', default: '3600' },
  'cluster-domain': { type: 'string', default: 'cluster.local' },
  'tls-cert': { type: 'string' },
  'tls-key': { type: 'string' },
  'tls-ca': { type: 'string' },
} as const

/** Their text for `--help`. */
export const tlsUsage: string = `\
  --tls-mode MODE          self-managed: made here, kept in a Secret; files: given by others (self-managed)
  --tls-secret NAME        Secret of the self-managed certificates (spiderpool-controller-tls)
  --ca-seconds N           life of the authority; renewed in its last third (315360000)
  --cert-seconds N         life of the serving certificate; renewed in its last third (31536000)
  --ca-overlap-seconds N   a new authority is known so long before its use, the old one so long after (3600)
  --cluster-domain NAME    DNS domain of the cluster (cluster.local)
  --tls-cert FILE          serving certificate and chain, PEM; read again when it changes (mode files)
  --tls-key FILE           its key, PEM (mode files)
  --tls-ca FILE            the authority that signed it, for agents and webhooks (mode files)
`

const maxSeconds = 36_500 * 86_400
/** Serving certificates are renewed three times at least while their authority is. */
const certsPerCa = 3
/** The overlap has to fit into the last third of a serving certificate, twice. */
const overlapsPerCert = 6

export interface TlsInput {
  readonly values: Readonly<Partial<Record<keyof typeof tlsFlags, string>>>
  readonly namespace: string
  /** Where this replica is reached. */
  readonly url: string
  /** How the API server reaches the webhooks, where that is not the URL. */
  readonly service: { readonly namespace: string; readonly name: string } | undefined
}

/** Reads the flags of the certificates. @throws {InvalidInputError} for a value that does not fit */
export function parseTlsOptions(input: TlsInput): TlsOptions {
  const { values } = input
  const mode = values['tls-mode']
  if (mode === 'files') return { mode, files: parseFiles(values) }
  if (mode !== 'self-managed')
    throw new InvalidInputError('--tls-mode', mode, 'is no mode', 'give self-managed or files')
  for (const flag of ['tls-cert', 'tls-key', 'tls-ca'] as const) {
    if (values[flag] === undefined) continue
    throw new InvalidInputError(
      `--${flag}`,
      values[flag],
      'goes with --tls-mode files',
      'add that, or leave it out',
    )
  }
  const secretName = values['tls-secret'] ?? ''
  if (!/^[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?$/.test(secretName))
    throw new InvalidInputError(
      '--tls-secret',
      secretName,
      'is no name of a Secret',
      'use a-z, 0-9, "-" and "."',
    )
  return { mode, secretName, policy: parsePolicy(input) }
}

function parseFiles(values: TlsInput['values']): CertificateFiles {
  const file = (flag: 'tls-cert' | 'tls-key' | 'tls-ca'): string => {
    const value = values[flag]
    if (value !== undefined && value !== '') return value
    throw new InvalidInputError(
      `--${flag}`,
      value,
      'is required with --tls-mode files',
      `give --${flag} FILE`,
    )
  }
  return { certFile: file('tls-cert'), keyFile: file('tls-key'), caFile: file('tls-ca') }
}

function parsePolicy({ values, namespace, url, service }: TlsInput): CertificatePolicy {
  const caSeconds = parseSeconds('--ca-seconds', values['ca-seconds'], maxSeconds)
  const certSeconds = parseSeconds(
    '--cert-seconds',
    values['cert-seconds'],
    Math.floor(caSeconds / certsPerCa),
  )
  const most = Math.floor(certSeconds / overlapsPerCert)
  const overlapSeconds = parseSeconds('--ca-overlap-seconds', values['ca-overlap-seconds'], most)
  const domain = values['cluster-domain'] ?? ''
  if (!/^[a-z0-9]([-.a-z0-9]{0,190}[a-z0-9])?$/.test(domain))
    throw new InvalidInputError('--cluster-domain', domain, 'is no DNS name', 'write it as cluster.local')
  const serverName = controllerServerName(namespace)
  const local = ['localhost', '127.0.0.1', '::1']
  // Agents verify by the name of the Service whatever the address; of the API server only one that calls by Service does.
  const place = service === undefined ? hostOf(url) : `${service.name}.${service.namespace}.svc`
  const names = [serverName, `${serverName}.${domain}`, trustNames.service, ...local, place]
  return { caSeconds, certSeconds, overlapSeconds, names: [...new Set(names)] }
}

function hostOf(url: string): string {
  const host = URL.parse(url)?.hostname.replace(/^\[|\]$/g, '') ?? ''
  if (host !== '') return host
  throw new InvalidInputError('--webhook-url', url, 'is no URL', 'write it as https://HOST:PORT')
}

function parseSeconds(field: string, text: string | undefined, most: number): number {
  const seconds = Number(text)
  if (Number.isInteger(seconds) && seconds >= 1 && seconds <= most) return seconds
  const hint = `give whole seconds up to a third of --ca-seconds for --cert-seconds, a sixth of that for the overlap`
  throw new InvalidInputError(field, text, `is not between 1 and ${most}`, hint)
}
