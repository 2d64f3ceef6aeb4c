// Certificates, keys and kubeconfigs of one control plane.
import { generateKeyPairSync } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stringifyJson } from '../../../src/base/index.ts'
import { createCa, issueCertificate, type KeyPair } from '../../../src/rpc/index.ts'

const days = 30

/** Files of the keys below `dir/pki`, and kubeconfigs. */
export interface KeyFiles {
  readonly ca: string
  readonly serving: { readonly cert: string; readonly key: string }
  readonly etcdClient: { readonly cert: string; readonly key: string }
  readonly tokenKey: string
  readonly kubeconfig: {
    readonly admin: string
    readonly controllerManager: string
    readonly scheduler: string
  }
}

/** @param host address that the servers listen on, beside the loopback addresses */
export async function writeKeys(dir: string, url: string, host: string): Promise<KeyFiles> {
  const pki = join(dir, 'pki')
  mkdirSync(pki, { recursive: true, mode: 0o700 })
  const write = (name: string, text: string): string => {
    const path = join(pki, name)
    writeFileSync(path, text, { mode: 0o600 })
    return path
  }
  const pair = (name: string, { certPem, keyPem }: KeyPair) => ({
    cert: write(`${name}.crt`, certPem),
    key: write(`${name}.key`, keyPem),
  })
  const ca = await createCa('test-control-plane', days)
  const client = (commonName: string, organizations: readonly string[] = []) =>
    issueCertificate(ca, { commonName, organizations, days, usages: ['client'] })
  const serving = await issueCertificate(ca, {
    commonName: 'kube-apiserver',
    dnsNames: ['localhost', 'kubernetes', 'kubernetes.default', 'kubernetes.default.svc'],
    ipAddresses: [...new Set(['127.0.0.1', '::1', host])],
    days,
    usages: ['server', 'client'],
  })
  const config = async (name: string, commonName: string, organizations?: readonly string[]) => {
    const keys = await client(commonName, organizations)
    const path = join(dir, name)
    writeFileSync(path, kubeconfigText(url, ca, keys), { mode: 0o600 })
    return path
  }
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return {
    ca: write('ca.crt', ca.certPem),
    serving: pair('apiserver', serving),
    etcdClient: pair('etcd-client', await client('etcd-client')),
    tokenKey: write('sa.key', privateKey.export({ type: 'sec1', format: 'pem' }).toString()),
    kubeconfig: {
      admin: await config('kubeconfig', 'kubernetes-admin', ['system:masters']),
      controllerManager: await config('controller-manager.kubeconfig', 'system:kube-controller-manager'),
      scheduler: await config('scheduler.kubeconfig', 'system:kube-scheduler'),
    },
  }
}

// JSON, which is YAML too.
function kubeconfigText(server: string, ca: KeyPair, client: KeyPair): string {
  const base64 = (text: string) => Buffer.from(text).toString('base64')
  const name = 'control-plane'
  const user = {
    'client-certificate-data': base64(client.certPem),
    'client-key-data': base64(client.keyPem),
  }
  const cluster = { server, 'certificate-authority-data': base64(ca.certPem) }
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name, cluster }],
    users: [{ name, user }],
    contexts: [{ name, context: { cluster: name, user: name } }],
    'current-context': name,
  }
  return `${stringifyJson(config, 2)}\n`
}
