import { generateKeyPairSync } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createCa, issueCertificate, type KeyPair } from '../../rpc/index.ts'
import type { LabPaths } from '../lab-paths.ts'

/** Files of the lab's certificates and keys, all below `pki/`, for root alone. */
export interface LabPki {
  readonly ca: string
  readonly apiserverCert: string
  readonly apiserverKey: string
  readonly controllerCert: string
  readonly controllerKey: string
  readonly serviceAccountKey: string
}

const days = 3650
const loopback = ['127.0.0.1', '::1']

export function pkiFiles(paths: LabPaths): LabPki {
  const file = (name: string): string => join(paths.pkiDir, name)
  return {
    ca: file('ca.crt'),
    apiserverCert: file('apiserver.crt'),
    apiserverKey: file('apiserver.key'),
    controllerCert: file('controller.crt'),
    controllerKey: file('controller.key'),
    serviceAccountKey: file('service-account.key'),
  }
}

/** Makes the authority, the serving certificates, the key that signs tokens, and the administrator's kubeconfig. */
export async function createPki(paths: LabPaths, apiPort: number): Promise<LabPki> {
  await mkdir(paths.pkiDir, { recursive: true, mode: 0o700 })
  const files = pkiFiles(paths)
  const ca = await createCa('spiderpool-lab', days)
  const apiserver = await issueCertificate(ca, {
    commonName: 'kube-apiserver',
    dnsNames: ['localhost', 'kubernetes', 'kubernetes.default', 'kubernetes.default.svc'],
    ipAddresses: loopback,
    days,
    usages: ['server'],
  })
  const controller = await issueCertificate(ca, {
    commonName: 'spiderpool-controller',
    dnsNames: ['localhost', 'spiderpool-controller', 'spiderpool-controller.kube-system.svc'],
    ipAddresses: loopback,
    days,
    usages: ['server'],
  })
  const admin = await issueCertificate(ca, {
    commonName: 'lab-admin',
    organizations: ['system:masters'],
    days,
    usages: ['client'],
  })
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  await writeSecret(files.ca, ca.certPem)
  await writeSecret(files.apiserverCert, apiserver.certPem)
  await writeSecret(files.apiserverKey, apiserver.keyPem)
  await writeSecret(files.controllerCert, controller.certPem)
  await writeSecret(files.controllerKey, controller.keyPem)
  await writeSecret(files.serviceAccountKey, privateKey.export({ type: 'pkcs8', format: 'pem' }).toString())
  await writeSecret(paths.kubeconfig, adminKubeconfig(ca.certPem, admin, apiPort))
  return files
}

async function writeSecret(path: string, text: string): Promise<void> {
  await writeFile(path, text, { mode: 0o600 })
}

function adminKubeconfig(caPem: string, admin: KeyPair, apiPort: number): string {
  return kubeconfigText(
    { server: `https://127.0.0.1:${apiPort}`, 'certificate-authority-data': base64(caPem) },
    { 'client-certificate-data': base64(admin.certPem), 'client-key-data': base64(admin.keyPem) },
  )
}

/** A kubeconfig with one cluster and one user; JSON is YAML too. */
export function kubeconfigText(cluster: object, user: object): string {
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'lab',
    clusters: [{ name: 'lab', cluster }],
    users: [{ name: 'lab', user }],
    contexts: [{ name: 'lab', context: { cluster: 'lab', user: 'lab', namespace: 'default' } }],
  }
  return `${JSON.stringify(config, undefined, 2)}\n`
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64')
}
