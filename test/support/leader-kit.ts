// One time as leader in this process, over any API server: what the controller runs, without its HTTPS server and its lease.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { AccountName, AllocateRequest, KubeObject, Resource } from '../../src/api/index.ts'
import { accountOf, crdManifests, resources } from '../../src/api/index.ts'
import {
  jsonLogger,
  type Logger,
  Metrics,
  silentLogger,
  systemClock,
  systemRandom,
} from '../../src/base/index.ts'
import { conflictCounter } from '../../src/controller/allocator/conflicts.ts'
import { type Caches, openCaches } from '../../src/controller/caches.ts'
import { Leadership } from '../../src/controller/leadership.ts'
import { type ControllerOptions, parseControllerOptions } from '../../src/controller/options.ts'
import {
  ApiError,
  createEventRecorder,
  type EventRecorder,
  type KubeApi,
  KubeClient,
  loadKubeconfig,
} from '../../src/kube/index.ts'
import { createRights } from '../../src/lab/supervisor/lab-objects.ts'
import type { BareServer } from './bare-server.ts'

const namespace = 'kube-system'
const never = new AbortController().signal

export interface LeaderOptions {
  readonly term: number
  /** Between the leader and the API server. */
  readonly wrap?: (api: KubeApi) => KubeApi
  readonly logger?: Logger
}

/** A leader, and what it is made of. */
export class LeaderKit implements AsyncDisposable {
  readonly leadership: Leadership
  readonly #caches: Caches
  readonly #events: EventRecorder
  readonly #client: KubeClient
  readonly #term: AbortController

  private constructor(parts: {
    leadership: Leadership
    caches: Caches
    events: EventRecorder
    client: KubeClient
    term: AbortController
  }) {
    this.leadership = parts.leadership
    this.#caches = parts.caches
    this.#events = parts.events
    this.#client = parts.client
    this.#term = parts.term
  }

  static async start(kubeconfig: string, { term: number, wrap, logger }: LeaderOptions): Promise<LeaderKit> {
    const log = logger ?? (process.env['LEADER_LOG'] === undefined ? silentLogger : jsonLogger('debug'))
    const options: ControllerOptions = parseControllerOptions(['--kubeconfig', kubeconfig], {}, 'test')
    const client = await adminClient(kubeconfig)
    const caches = openCaches(client, log)
    await caches.synced(AbortSignal.timeout(60_000))
    const api = wrap?.(client) ?? client
    const background = client.background()
    const events = createEventRecorder(background, { component: 'spiderpool-controller' }, systemClock, log)
    const conflicts = conflictCounter(new Metrics())
    const ports = { clock: systemClock, random: systemRandom, logger: log }
    const views = background
    const context = { options, api, background, views, caches, events, conflicts, ...ports }
    const term = new AbortController()
    const held = { number, signal: term.signal, isHeld: () => true, isOurs: () => true }
    const leadership = await Leadership.start(context, held)
    // The replica passes on what the caches hear.
    caches.pods.onChange((old, now) => leadership.podChanged(old, now))
    caches.pools.onChange((old, now) => leadership.poolChanged(old, now))
    caches.subnets.onChange((_old, now) => leadership.subnetChanged(now))
    caches.coordinators.onChange((_old, now) => leadership.coordinatorChanged(now))
    caches.reservedIps.onChange((_old, now) => leadership.reservationsChanged(now))
    caches.ipClaims.onChange((old, now) => leadership.ipClaimChanged(old, now))
    caches.ipamClaims.onChange((old, now) => leadership.ipClaims.changed('IPAMClaim', old, now))
    return new LeaderKit({ leadership, caches, events, client, term })
  }

  /** The addresses that an ADD gets. */
  async add(pod: string, more: Partial<AllocateRequest> = {}, node = 'node1'): Promise<readonly string[]> {
    const [podNamespace = '', podName = ''] = pod.split('/')
    const request: AllocateRequest = {
      containerId: `c-${podName}`,
      ifName: 'eth0',
      netns: '/run/netns/x',
      podNamespace,
      podName,
      podUid: '',
      defaultIpv4Pools: [],
      defaultIpv6Pools: [],
      cleanGateway: false,
      budgetMs: 10_000,
      ...more,
    }
    const { ips } = await this.leadership.allocate(node, request, never)
    return ips.map(({ address }) => address.split('/')[0] ?? '')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#term.abort()
    await this.leadership.close()
    await this.#events.close(AbortSignal.timeout(2_000))
    await this.#caches.close()
    await this.#client.close()
  }
}

/** A client with all rights. */
export async function adminClient(kubeconfig: string): Promise<KubeClient> {
  return new KubeClient(await loadKubeconfig(kubeconfig), { logger: silentLogger })
}

/**
 * Makes the controller's ServiceAccount with the rights of an installation, and a kubeconfig with its token.
 * @returns its path, in the server's folder
 */
export async function controllerKubeconfig(server: BareServer, api: KubeApi): Promise<string> {
  const metadata = { name: accountOf('controller'), namespace }
  const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata }
  await unlessThere(api.create(resources.namespace, objectOf('Namespace', namespace), never))
  await unlessThere(api.create(resources.serviceAccount, account, never))
  await createRights(api, namespace, never)
  return accountKubeconfig(server, api, 'controller')
}

/**
 * Writes a kubeconfig with a token of one of our ServiceAccounts.
 * @param bound object that the token dies with
 * @returns its path, in the server's folder
 */
export async function accountKubeconfig(
  server: BareServer,
  api: KubeApi,
  account: AccountName,
  bound?: KubeObject,
): Promise<string> {
  const token = await tokenOf(api, account, bound === undefined ? {} : { bound })
  const config = JSON.parse(readFileSync(server.kubeconfig, 'utf8')) as { users: [{ user: object }] }
  config.users[0].user = { token }
  const file = join(server.dir, `${bound?.metadata.name ?? account}.kubeconfig`)
  writeFileSync(file, JSON.stringify(config), { mode: 0o600 })
  return file
}

/** A token of one of our ServiceAccounts; for the API server, when no audience is named. */
export async function tokenOf(
  api: KubeApi,
  account: AccountName,
  { bound, audience }: { readonly bound?: KubeObject; readonly audience?: string },
): Promise<string> {
  const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${accountOf(account)}/token`
  const boundObjectRef = {
    apiVersion: 'v1',
    kind: 'Pod',
    name: bound?.metadata.name,
    uid: bound?.metadata.uid,
  }
  const asked = {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    spec: {
      expirationSeconds: 3600,
      ...(bound === undefined ? {} : { boundObjectRef }),
      ...(audience === undefined ? {} : { audiences: [audience] }),
    },
  }
  const { status } = await api.request<{ status: { token: string } }>('POST', path, asked, never)
  return status.token
}

const objectOf = (kind: string, name: string): KubeObject => ({ apiVersion: 'v1', kind, metadata: { name } })

async function unlessThere(creation: Promise<unknown>): Promise<void> {
  try {
    await creation
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 409) throw error
  }
}

/** Installs our kinds, and waits until they are served. */
export async function installKinds(api: KubeApi): Promise<void> {
  const manifests: readonly KubeObject[] = crdManifests()
  for (const manifest of manifests) await api.create(resources.customResourceDefinition, manifest, never)
  const all: readonly Resource[] = [
    resources.ipPool,
    resources.subnet,
    resources.reservedIp,
    resources.coordinator,
    resources.endpoint,
    resources.multusConfig,
    resources.ipBlock,
    resources.ipClaim,
    resources.networkAttachmentDefinition,
  ]
  for (const resource of all) {
    await repeat(() => api.list(resource, { limit: 1 }, never))
  }
}

/** Repeats what a server that still starts refuses. */
export async function repeat<T>(work: () => Promise<T>, tries = 100): Promise<T> {
  for (let left = tries; ; left--) {
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof ApiError) || left === 0 || error.status === 409) throw error
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }
}

/** Runs `work` on all items, `width` at once. */
export async function inParallel<T>(items: readonly T[], width: number, work: (item: T) => Promise<unknown>) {
  const left = [...items]
  const run = async (): Promise<void> => {
    for (let item = left.pop(); item !== undefined; item = left.pop()) await work(item)
  }
  await Promise.all(Array.from({ length: width }, run))
}
