import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createCa, issueCertificate } from '../../rpc/index.ts'
import type { LabPaths } from '../lab-paths.ts'

/** Files of the lab's certificates and keys, all below `pki/`, for root alone. */
export interface LabPki {
  /** The authority, which the embedded API server finds and uses too. */
  readonly ca: string
  readonly caKey: string
  readonly controllerCert: string
  readonly controllerKey: string
}

const days = 3650

export function pkiFiles(paths: LabPaths): LabPki {
  const file = (name: string): string => join(paths.pkiDir, name)
  return {
    ca: file('ca.crt'),
    caKey: file('ca.key'),
    controllerCert: file('controller.crt'),
    controllerKey: file('controller.key'),
  }
}

/** Makes the authority of the lab and the controller's serving certificate. */
export async function createPki(paths: LabPaths): Promise<LabPki> {
  await mkdir(paths.pkiDir, { recursive: true, mode: 0o700 })
  const files = pkiFiles(paths)
  const ca = await createCa('spiderpool-lab', days)
  const controller = await issueCertificate(ca, {
    commonName: 'spiderpool-controller',
    dnsNames: ['localhost', 'spiderpool-controller', 'spiderpool-controller.kube-system.svc'],
    ipAddresses: ['127.0.0.1', '::1'],
    days,
    usages: ['server'],
  })
  await writeSecret(files.ca, ca.certPem)
  await writeSecret(files.caKey, ca.keyPem)
  await writeSecret(files.controllerCert, controller.certPem)
  await writeSecret(files.controllerKey, controller.keyPem)
  return files
}

async function writeSecret(path: string, text: string): Promise<void> {
  await writeFile(path, text, { mode: 0o600 })
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
