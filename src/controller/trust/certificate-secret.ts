import { createHash } from 'node:crypto'
import { type KubeObject, resources } from '../../api/index.ts'
import { ApiError, type KubeApi } from '../../kube/index.ts'
import type { CertificateTexts } from './certificate-facts.ts'
import type { Publication } from './certificate-plan.ts'

/** The Secret as we write it; labels and annotations of others stay. */
export interface CertificateSecret extends KubeObject {
  readonly data?: Readonly<Record<string, string>>
  readonly type?: string
}

export interface SecretRef {
  readonly namespace: string
  readonly name: string
}

const publishedKey = 'spiderpool.spidernet.io/ca-bundle-published'
const keys = { caBundle: 'ca.crt', caKey: 'ca.key', cert: 'tls.crt', key: 'tls.key' } as const

export async function readSecret(
  api: KubeApi,
  ref: SecretRef,
  signal: AbortSignal,
): Promise<CertificateSecret | undefined> {
  return api.get<CertificateSecret>(resources.secret, ref, signal)
}

/** @returns undefined when somebody else made it meanwhile */
export async function createSecret(
  api: KubeApi,
  ref: SecretRef,
  texts: CertificateTexts,
  signal: AbortSignal,
): Promise<CertificateSecret | undefined> {
  const labels = { 'app.kubernetes.io/managed-by': 'spiderpool-controller' }
  const secret = {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { ...ref, labels },
    type: 'Opaque',
    data: dataOf(texts),
  }
  return unlessConflict(api.create<CertificateSecret>(resources.secret, secret, signal))
}

/** Writes over the version that was read. @returns undefined when somebody else wrote meanwhile */
export async function changeSecret(
  api: KubeApi,
  found: CertificateSecret,
  change: { readonly texts: CertificateTexts } | { readonly published: Publication },
  signal: AbortSignal,
): Promise<CertificateSecret | undefined> {
  const { name, namespace, resourceVersion } = found.metadata
  const ref = { name, ...(namespace === undefined ? {} : { namespace }) }
  const body =
    'texts' in change
      ? { metadata: { resourceVersion }, data: dataOf(change.texts) }
      : { metadata: { resourceVersion, annotations: publicationNote(change.published) } }
  return unlessConflict(api.patch<CertificateSecret>(resources.secret, ref, { type: 'merge', body }, signal))
}

/** What is not there, or no base64, is ''. */
export function textsOf({ data = {} }: CertificateSecret): CertificateTexts {
  const text = (key: string) => Buffer.from(data[key] ?? '', 'base64').toString('utf8')
  return {
    caBundle: text(keys.caBundle),
    caKey: text(keys.caKey),
    cert: text(keys.cert),
    key: text(keys.key),
  }
}

/** When the leader had told everybody of a bundle; undefined when it has not, or the note cannot be read. */
export function publicationOf({ metadata }: CertificateSecret): Publication | undefined {
  const [hash = '', time = ''] = (metadata.annotations?.[publishedKey] ?? '').split(' ')
  const atMs = Date.parse(time)
  return hash === '' || Number.isNaN(atMs) ? undefined : { hash, atMs }
}

export function hashOf(caBundle: string): string {
  return createHash('sha256').update(caBundle).digest('hex')
}

function publicationNote({ hash, atMs }: Publication): Readonly<Record<string, string>> {
  return { [publishedKey]: `${hash} ${new Date(atMs).toISOString()}` }
}

function dataOf(texts: CertificateTexts): Readonly<Record<string, string>> {
  const base64 = (text: string) => Buffer.from(text, 'utf8').toString('base64')
  return {
    [keys.caBundle]: base64(texts.caBundle),
    [keys.caKey]: base64(texts.caKey),
    [keys.cert]: base64(texts.cert),
    [keys.key]: base64(texts.key),
  }
}

async function unlessConflict<T>(writing: Promise<T>): Promise<T | undefined> {
  try {
    return await writing
  } catch (error) {
    if (error instanceof ApiError && error.status === 409) return undefined
    throw error
  }
}
