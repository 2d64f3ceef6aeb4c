// Command lines of the processes of one control plane.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Program } from './binaries.ts'
import type { KeyFiles } from './keys.ts'

export interface Ports {
  readonly api: number
  readonly etcd: number
  readonly etcdPeer: number
  readonly controllerManager: number
  readonly scheduler: number
}

export interface Process {
  readonly name: Program
  readonly args: readonly string[]
}

export interface Layout {
  readonly dir: string
  /** Address that the API server listens on. */
  readonly host: string
  readonly ports: Ports
  readonly keys: KeyFiles
  /** Requests of our accounts are written here, one JSON object a line; undefined: nowhere. */
  readonly auditLog: string | undefined
}

// The defaults let the controllers of a small cluster make some 20 objects a second.
const clientRate = ['--kube-api-qps=300', '--kube-api-burst=600']
/** Accounts whose requests the audit log has, in the namespaces that tests install into. */
const auditedUsers = ['kube-system', 'spiderpool'].flatMap((namespace) =>
  ['controller', 'agent', 'init', 'uninstall'].map(
    (name) => `system:serviceaccount:${namespace}:spiderpool-${name}`,
  ),
)

/** In the order of their start. */
export function processesOf(layout: Layout): readonly Process[] {
  const { ports, keys, dir } = layout
  const local = ['--bind-address=127.0.0.1', '--leader-elect=false', ...clientRate]
  const as = (path: string) =>
    ['kubeconfig', 'authentication-kubeconfig', 'authorization-kubeconfig'].map((flag) => `--${flag}=${path}`)
  return [
    { name: 'etcd', args: etcdArgs(dir, ports, keys) },
    { name: 'kube-apiserver', args: apiserverArgs(layout) },
    {
      name: 'kube-controller-manager',
      args: [
        ...as(keys.kubeconfig.controllerManager),
        ...local,
        `--secure-port=${ports.controllerManager}`,
        `--service-account-private-key-file=${keys.tokenKey}`,
        `--root-ca-file=${keys.ca}`,
        '--use-service-account-credentials=true',
      ],
    },
    {
      name: 'kube-scheduler',
      args: [...as(keys.kubeconfig.scheduler), ...local, `--secure-port=${ports.scheduler}`],
    },
  ].map(({ name, args }) => ({ name: name as Program, args: [...args, ...quiet(name)] }))
}

function quiet(name: string): readonly string[] {
  return name === 'etcd' ? ['--log-level=warn'] : ['--v=0']
}

function etcdArgs(dir: string, ports: Ports, keys: KeyFiles): readonly string[] {
  const url = `https://127.0.0.1:${ports.etcd}`
  const peer = `http://127.0.0.1:${ports.etcdPeer}`
  return [
    '--name=default',
    `--data-dir=${join(dir, 'etcd')}`,
    `--listen-client-urls=${url}`,
    `--advertise-client-urls=${url}`,
    `--listen-peer-urls=${peer}`,
    `--initial-advertise-peer-urls=${peer}`,
    `--initial-cluster=default=${peer}`,
    `--cert-file=${keys.serving.cert}`,
    `--key-file=${keys.serving.key}`,
    `--trusted-ca-file=${keys.ca}`,
    '--client-cert-auth=true',
  ]
}

function apiserverArgs({ dir, host, ports, keys, auditLog }: Layout): readonly string[] {
  return [
    `--bind-address=${host}`,
    `--advertise-address=${host}`,
    `--secure-port=${ports.api}`,
    `--etcd-servers=https://127.0.0.1:${ports.etcd}`,
    `--etcd-cafile=${keys.ca}`,
    `--etcd-certfile=${keys.etcdClient.cert}`,
    `--etcd-keyfile=${keys.etcdClient.key}`,
    `--tls-cert-file=${keys.serving.cert}`,
    `--tls-private-key-file=${keys.serving.key}`,
    `--client-ca-file=${keys.ca}`,
    '--service-account-issuer=https://kubernetes.default.svc',
    `--service-account-key-file=${keys.tokenKey}`,
    `--service-account-signing-key-file=${keys.tokenKey}`,
    '--authorization-mode=Node,RBAC',
    '--enable-admission-plugins=NodeRestriction',
    '--service-cluster-ip-range=10.96.0.0/16',
    '--enable-aggregator-routing=true',
    // An endpoint may not be a loopback address.
    '--endpoint-reconciler-type=none',
    '--allow-privileged=true',
    '--profiling=false',
    ...(auditLog === undefined ? [] : auditArgs(dir, auditLog)),
  ]
}

function auditArgs(dir: string, log: string): readonly string[] {
  const policy = join(dir, 'audit-policy.json')
  const rules = [
    { level: 'Metadata', users: auditedUsers, omitStages: ['RequestReceived', 'ResponseStarted'] },
    { level: 'None' },
  ]
  writeFileSync(policy, JSON.stringify({ apiVersion: 'audit.k8s.io/v1', kind: 'Policy', rules }))
  return [`--audit-policy-file=${policy}`, `--audit-log-path=${log}`, '--audit-log-mode=batch']
}
