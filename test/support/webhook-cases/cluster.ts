// An API server with our kinds and webhooks, one controller, and the cases of the rules carried out on it.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { blockOfCidr, parseCidr } from '../../../src/address/index.ts'
import {
  crdManifests,
  type KubeObject,
  type Resource,
  resources,
  webhookConfigurationName,
} from '../../../src/api/index.ts'
import { silentLogger } from '../../../src/base/index.ts'
import { parseControllerOptions, runController } from '../../../src/controller/index.ts'
import { ApiError, KubeClient, loadKubeconfig } from '../../../src/kube/index.ts'
import { createCa, issueCertificate } from '../../../src/rpc/index.ts'
import { type BareServer, startBareServer } from '../bare-server.ts'
import type { CaseObject, Given, RuleCase } from './rule-case.ts'

const never = new AbortController().signal
const waitMs = 60_000
const namespaced: readonly string[] = [
  'SpiderIPClaim',
  'SpiderMultusConfig',
  'NetworkAttachmentDefinition',
  'Pod',
]
/** Cases that are carried out at once. */
const concurrency = 16

/** What an API server made of one write. */
export type Outcome =
  | { readonly kind: 'accepted'; readonly object: unknown }
  | { readonly kind: 'refused'; readonly status: number; readonly message: string }

export class RuleCluster {
  readonly api: KubeClient
  readonly #server: BareServer
  readonly #folder: string
  readonly #url: string
  readonly #port: number
  #podUid = ''
  #stop: (() => Promise<void>) | undefined

  private constructor(server: BareServer, api: KubeClient, folder: string, port: number) {
    this.#server = server
    this.api = api
    this.#folder = folder
    this.#port = port
    this.#url = `https://127.0.0.1:${port}`
  }

  static async start(): Promise<RuleCluster> {
    const server = await startBareServer()
    const api = new KubeClient(await loadKubeconfig(server.kubeconfig), { logger: silentLogger })
    const folder = mkdtempSync(join(tmpdir(), 'spiderpool-rules-'))
    const ca = await createCa('rules', 1)
    const pair = await issueCertificate(ca, {
      commonName: 'controller',
      ipAddresses: ['127.0.0.1'],
      days: 1,
      usages: ['server'],
    })
    writeFileSync(join(folder, 'ca.crt'), ca.certPem)
    writeFileSync(join(folder, 'tls.crt'), pair.certPem)
    writeFileSync(join(folder, 'tls.key'), pair.keyPem, { mode: 0o600 })
    const cluster = new RuleCluster(server, api, folder, await freePort())
    await cluster.#install()
    return cluster
  }

  async #install(): Promise<void> {
    const manifests: readonly KubeObject[] = crdManifests()
    await Promise.all(manifests.map((crd) => this.api.create(resources.customResourceDefinition, crd, never)))
    for (const kind of ['MutatingWebhookConfiguration', 'ValidatingWebhookConfiguration']) {
      const resource = configurations(kind)
      const metadata = { name: webhookConfigurationName }
      const object = { apiVersion: 'admissionregistration.k8s.io/v1', kind, metadata }
      await this.api.create(resource, object, never)
    }
    await this.#makePod()
    const kinds = [resources.ipPool, resources.subnet, resources.reservedIp, resources.endpoint]
    const others = [resources.coordinator, resources.multusConfig, resources.ipBlock, resources.ipClaim]
    for (const resource of [...kinds, ...others, resources.networkAttachmentDefinition]) {
      await until(`${resource.plural} are served`, async () => {
        await this.api.list(resource, { limit: 1 }, never)
        return true
      })
    }
  }

  /** The pod that has the addresses of the cases: they would be freed if there was none. */
  async #makePod(): Promise<void> {
    const pod: CaseObject = {
      kind: 'Pod',
      name: 'cart-0',
      spec: { containers: [{ name: 'main', image: 'registry.example/x:1' }] },
    }
    const { metadata } = await this.api.create(resources.pod, manifestOf(pod), never)
    this.#podUid = metadata.uid ?? ''
  }

  /** Starts the controller and waits until the API server asks it. */
  async startController(flags: readonly string[]): Promise<void> {
    const file = (name: string) => join(this.#folder, name)
    const args = ['--kubeconfig', this.#server.kubeconfig, '--listen', `127.0.0.1:${this.#port}`]
    const tls = [
      '--tls-mode',
      'files',
      '--tls-cert',
      file('tls.crt'),
      '--tls-key',
      file('tls.key'),
      '--tls-ca',
      file('ca.crt'),
    ]
    const more = ['--webhook-url', this.#url, '--lease-seconds', '60', '--log-level', 'error']
    const options = parseControllerOptions([...args, ...tls, ...more, ...flags], {}, 'rules')
    const stopping = new AbortController()
    const running = runController(options, silentLogger, stopping.signal)
    running.catch(() => undefined)
    this.#stop = async () => {
      stopping.abort()
      await running
    }
    // A rule that no schema can hold, of the last kind in the configurations.
    const probe: CaseObject = { kind: 'SpiderMultusConfig', name: 'probe', spec: { customCNI: '{' } }
    await until('webhooks are asked', async () => {
      const outcome = await this.create(probe)
      if (outcome.kind === 'accepted') await this.api.delete(resources.multusConfig, refOf(probe), {}, never)
      return outcome.kind === 'refused' && outcome.message.includes('is not JSON')
    })
  }

  async stopController(): Promise<void> {
    await this.#stop?.()
    this.#stop = undefined
  }

  async close(): Promise<void> {
    await this.stopController()
    await this.api.close()
    await this.#server.close()
    rmSync(this.#folder, { recursive: true })
  }

  /** Asks the webhooks directly; the answer's status, 0 when the connection was closed, and its text. */
  post(path: string, body: string | Buffer): Promise<{ readonly status: number; readonly text: string }> {
    const ca = readFileSync(join(this.#folder, 'ca.crt'))
    return new Promise((resolve) => {
      const call = request(`${this.#url}${path}`, { method: 'POST', ca, agent: false }, (response) => {
        let text = ''
        response.setEncoding('utf8')
        response.on('data', (chunk: string) => {
          text += chunk
        })
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text }))
      })
      call.once('error', () => resolve({ status: 0, text: '' }))
      call.end(body)
    })
  }

  /** Makes what a case starts from. */
  async prepare({ given = [], old }: RuleCase): Promise<void> {
    for (const one of given) await this.#give(one)
    if (old !== undefined) await this.#give(old)
  }

  async #give(given: Given): Promise<void> {
    if (given.awaited === true) {
      const resource = resourceOf(given.kind)
      const isMade = async () => (await this.api.get(resource, refOf(given), never)) !== undefined
      await until(`${given.kind} ${given.name}`, isMade)
      return
    }
    const outcome = await this.create(given)
    if (outcome.kind === 'refused') throw new Error(`${given.kind} ${given.name}: ${outcome.message}`)
    if (given.status === undefined) return
    const patch = { type: 'merge' as const, body: { status: given.status }, subresource: 'status' }
    await this.api.patch(resourceOf(given.kind), refOf(given), patch, never)
  }

  /** Carries a case out. */
  async act({ old, object }: RuleCase): Promise<Outcome> {
    if (object === undefined) {
      const deleted = old ?? { kind: 'Pod' as const, name: '' }
      return outcomeOf(() => this.api.delete(resourceOf(deleted.kind), refOf(deleted), {}, never))
    }
    if (old === undefined) return this.create(object)
    const annotations = object.metadata?.annotations
    const body = [
      { op: 'replace', path: '/spec', value: object.spec },
      ...(annotations === undefined
        ? []
        : [{ op: 'add', path: '/metadata/annotations', value: annotations }]),
    ]
    return outcomeOf(() =>
      this.api.patch(resourceOf(object.kind), refOf(object), { type: 'json', body }, never),
    )
  }

  create(object: CaseObject): Promise<Outcome> {
    const manifest = manifestOf(object, this.#podUid)
    return outcomeOf(() => this.api.create(resourceOf(object.kind), manifest, never))
  }
}

/** Runs `work` on all items, several at once. */
export async function each<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const queue = [...items]
  const worker = async (): Promise<void> => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) await work(item)
  }
  await Promise.all(Array.from({ length: concurrency }, worker))
}

/** A write that an API server refuses is an outcome as well. */
export async function outcomeOf(write: () => Promise<unknown>): Promise<Outcome> {
  try {
    return { kind: 'accepted', object: await write() }
  } catch (error) {
    if (!(error instanceof ApiError)) throw error
    return { kind: 'refused', status: error.status, message: error.message }
  }
}

/** Waits until `holds`. */
export async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const endMs = performance.now() + waitMs
  let complaint = ''
  while (performance.now() < endMs) {
    try {
      if (await holds()) return
    } catch (error) {
      complaint = String(error)
    }
    await sleep(50)
  }
  throw new Error(`${what}: not within ${waitMs} ms. ${complaint}`)
}

function configurations(kind: string): Resource {
  const plural = `${kind.toLowerCase()}s`
  return { group: 'admissionregistration.k8s.io', version: 'v1', plural, kind, namespaced: false }
}

function resourceOf(kind: string): Resource {
  const found = Object.values(resources).find((resource) => resource.kind === kind)
  if (found === undefined) throw new Error(`${kind} is no kind of the cases`)
  return found
}

function refOf({ kind, name }: CaseObject) {
  const real = kind === 'SpiderIPBlock' ? blockOfCidr(parseCidr(name)).name : name
  return namespaced.includes(kind) ? { namespace: 'default', name: real } : { name: real }
}

/** @param podUid of the pod that has the addresses of a block */
function manifestOf(object: CaseObject, podUid = ''): KubeObject {
  const { kind, metadata, spec } = object
  const { group, version } = resourceOf(kind)
  return {
    apiVersion: group === '' ? version : `${group}/${version}`,
    kind,
    metadata: { ...refOf(object), ...metadata },
    spec: kind === 'SpiderIPBlock' ? blockSpec(object, podUid) : spec,
  } as KubeObject
}

/** A block in full: cases say what they are about. */
function blockSpec({ name, spec }: CaseObject, podUid: string): object {
  const { entries } = spec as { readonly entries: Readonly<Record<string, object>> }
  const whole = {
    nic: 'eth0',
    owner: { kind: 'pod', uid: podUid },
    podUid,
    node: 'node1',
    since: 1,
    grant: { prefixBits: 16 },
  }
  const filled = Object.entries(entries).map(
    ([ip, entry]) => [ip, JSON.stringify({ ...whole, ...entry })] as const,
  )
  return { cidr: name, term: 1, entries: Object.fromEntries(filled) }
}

function freePort(): Promise<number> {
  const server = createServer()
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      const port = typeof address === 'object' && address !== null ? address.port : 0
      server.close(() => resolve(port))
    })
  })
}
