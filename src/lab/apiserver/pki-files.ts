import { generateKeyPairSync, X509Certificate } from 'node:crypto'
import { chmod, mkdir, open, readFile, rename } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { stringifyJson } from '../../base/index.ts'
import { certificateEndMs, createCa, issueCertificate, type KeyPair } from '../../rpc/index.ts'

const caDays = 3650
const leafDays = 365
const renewMs = 30 * 86_400_000

/** Keys of one API server, made once and kept in its folder. */
export interface ServerKeys {
  readonly ca: KeyPair
  readonly serving: KeyPair
  readonly admin: KeyPair
  /** EC P-256, PKCS #8: signs ServiceAccount tokens. */
  readonly tokenKeyPem: string
}

/** Reads the keys below `folder`, and makes what is missing or about to expire. */
export async function loadKeys(folder: string, nowMs: number): Promise<ServerKeys> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const ca =
    (await readPair(folder, 'ca')) ??
    (await writePair(folder, 'ca', await createCa('spiderpool-lab-ca', caDays)))
  const leaf = async (name: string, request: Parameters<typeof issueCertificate>[1]): Promise<KeyPair> => {
    const found = await readPair(folder, name)
    if (found !== undefined && isUsable(found, ca, nowMs)) return found
    return writePair(folder, name, await issueCertificate(ca, request))
  }
  const serving = await leaf('apiserver', {
    commonName: 'kube-apiserver',
    dnsNames: ['localhost', 'kubernetes', 'kubernetes.default', 'kubernetes.default.svc'],
    ipAddresses: ['127.0.0.1', '::1'],
    days: leafDays,
    usages: ['server'],
  })
  const admin = await leaf('admin', {
    commonName: 'kubernetes-admin',
    organizations: ['system:masters'],
    days: leafDays,
    usages: ['client'],
  })
  return { ca, serving, admin, tokenKeyPem: await loadTokenKey(folder) }
}

function isUsable(pair: KeyPair, ca: KeyPair, nowMs: number): boolean {
  if (certificateEndMs(pair.certPem) - nowMs < renewMs) return false
  return new X509Certificate(pair.certPem).verify(new X509Certificate(ca.certPem).publicKey)
}

async function loadTokenKey(folder: string): Promise<string> {
  const path = join(folder, 'sa.key')
  const found = await readText(path)
  if (found !== undefined) return found
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  await writeWhole(path, pem)
  return pem
}

async function readPair(folder: string, name: string): Promise<KeyPair | undefined> {
  const [certPem, keyPem] = await Promise.all([
    readText(join(folder, `${name}.crt`)),
    readText(join(folder, `${name}.key`)),
  ])
  return certPem === undefined || keyPem === undefined ? undefined : { certPem, keyPem }
}

async function writePair(folder: string, name: string, pair: KeyPair): Promise<KeyPair> {
  await writeWhole(join(folder, `${name}.key`), pair.keyPem)
  await writeWhole(join(folder, `${name}.crt`), pair.certPem)
  return pair
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}

/** Writes a file as a whole, readable by its owner alone: after a crash there is the old one or the new one. */
async function writeWhole(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  const temporary = `${path}.new`
  const file = await open(temporary, 'w', 0o600)
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
  await chmod(temporary, 0o600)
  await rename(temporary, path)
}

/** Writes `kubeconfig` below `folder`, for the administrator of the server at `url`. @returns its path */
export async function writeAdminKubeconfig(folder: string, keys: ServerKeys, url: string): Promise<string> {
  const path = join(folder, 'kubeconfig')
  await writeWhole(path, adminKubeconfig(keys, url))
  return path
}

// JSON, which is YAML too.
function adminKubeconfig(keys: ServerKeys, url: string): string {
  const base64 = (text: string) => Buffer.from(text).toString('base64')
  const name = 'spiderpool-lab'
  return `${stringifyJson(
    {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name, cluster: { server: url, 'certificate-authority-data': base64(keys.ca.certPem) } }],
      users: [
        {
          name: 'kubernetes-admin',
          user: {
            'client-certificate-data': base64(keys.admin.certPem),
            'client-key-data': base64(keys.admin.keyPem),
          },
        },
      ],
      contexts: [{ name, context: { cluster: name, user: 'kubernetes-admin' } }],
      'current-context': name,
    },
    2,
  )}\n`
}
