// Tokens and calls, as an agent and as somebody who would like to be one.
import { createPrivateKey, sign, type X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import https from 'node:https'
import { join } from 'node:path'
import tls from 'node:tls'
import { controllerServerName, type KubeObject, resources, trustNames } from '../../src/api/index.ts'
import { silentLogger } from '../../src/base/index.ts'
import { KubeClient, loadKubeconfig } from '../../src/kube/index.ts'
import type { Lab } from '../integration/lab-harness.ts'
import { readState } from './control-plane/control-plane.ts'

const never = new AbortController().signal
const serverName = controllerServerName('kube-system')

export interface Answer {
  /** 0: the connection was ended without an answer. */
  readonly status: number
  readonly failure: { readonly code?: number; readonly msg?: string; readonly details?: string }
}

interface ConfigMap extends KubeObject {
  readonly data?: Readonly<Record<string, string>>
}

export interface TokenWanted {
  readonly namespace?: string
  readonly account?: string
  /** Name of the pod that it is bound to. */
  readonly pod?: string
  /** `default`: that of the API server. */
  readonly audience?: string
}

/** The lab's controllers as the outside sees them. */
export class TrustKit {
  readonly api: KubeClient
  readonly #lab: Lab

  private constructor(lab: Lab, api: KubeClient) {
    this.#lab = lab
    this.api = api
  }

  static async open(lab: Lab): Promise<TrustKit> {
    const access = await loadKubeconfig(lab.kubeconfig)
    return new TrustKit(lab, new KubeClient(access, { userAgent: 'trust-test', logger: silentLogger }))
  }

  get ports(): readonly number[] {
    const state = JSON.parse(readFileSync(join(this.#lab.dir, 'state.json'), 'utf8')) as {
      controllerPorts: readonly number[]
    }
    return state.controllerPorts
  }

  async leaderPort(): Promise<number> {
    const ref = { namespace: 'kube-system', name: 'spiderpool-controller-leases' }
    const lease = await this.api.get<KubeObject & { spec?: { holderIdentity?: string } }>(
      resources.lease,
      ref,
      never,
    )
    return Number(new URL(lease?.spec?.holderIdentity?.split(' at ')[1] ?? 'https://nobody:1').port)
  }

  async bundle(): Promise<string> {
    const ref = { namespace: 'kube-system', name: trustNames.authorities }
    const found = await this.api.get<ConfigMap>(resources.configMap, ref, never)
    return found?.data?.[trustNames.authoritiesKey] ?? ''
  }

  /** The certificate that a replica serves to one who trusts `bundle`. Rejects when it cannot be trusted. */
  async served(port: number, bundle: string): Promise<X509Certificate> {
    const options = { host: '127.0.0.1', port, ca: bundle, servername: serverName }
    const socket = tls.connect(options)
    await once(socket, 'secureConnect')
    const certificate = socket.getPeerX509Certificate()
    socket.destroy()
    if (certificate === undefined) throw new Error('no certificate')
    return certificate
  }

  /** A token from TokenRequest. */
  async token(wanted: TokenWanted): Promise<string> {
    const { namespace = 'kube-system', account = 'spiderpool-agent', pod, audience } = wanted
    const bound = { apiVersion: 'v1', kind: 'Pod', name: pod }
    const spec = {
      expirationSeconds: 3600,
      ...(audience === 'default' ? {} : { audiences: [audience ?? trustNames.audience] }),
      ...(pod === undefined ? {} : { boundObjectRef: bound }),
    }
    const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec }
    const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${account}/token`
    const answer = await this.api.request<{ status: { token: string } }>('POST', path, body, never)
    return answer.status.token
  }

  /** The same token with other claims, signed with the key of the API server's own tokens. */
  resign(token: string, claims: object): string {
    const { controlPlaneDir, dir } = this.#lab
    const file =
      controlPlaneDir === undefined ? join(dir, 'pki/sa.key') : (readState(controlPlaneDir)?.tokenKey ?? '')
    const [head = '', body = ''] = token.split('.')
    const next = { ...(JSON.parse(Buffer.from(body, 'base64url').toString()) as object), ...claims }
    const text = `${head}.${Buffer.from(JSON.stringify(next)).toString('base64url')}`
    const key = { key: createPrivateKey(readFileSync(file, 'utf8')), dsaEncoding: 'ieee-p1363' } as const
    return `${text}.${sign('sha256', Buffer.from(text), key).toString('base64url')}`
  }

  /** One POST on a connection of its own. */
  async post(
    path: string,
    body: string | Buffer,
    more: { readonly token?: string; readonly from?: string; readonly isChunked?: boolean } = {},
  ): Promise<Answer> {
    const { token, from, isChunked = false } = more
    const request = https.request({
      ...{ host: '127.0.0.1', port: await this.leaderPort(), path, method: 'POST', agent: false },
      ...{ ca: await this.bundle(), servername: serverName },
      ...(from === undefined ? {} : { localAddress: from }),
      headers: {
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(isChunked ? {} : { 'content-length': Buffer.byteLength(body) }),
      },
    })
    const { promise, resolve } = Promise.withResolvers<Answer>()
    request.on('error', () => resolve({ status: 0, failure: {} }))
    request.on('response', (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part
      })
      const done = () => resolve({ status: response.statusCode ?? 0, failure: readFailure(text) })
      response.on('error', done).on('end', done)
    })
    request.end(body)
    return promise
  }

  /** Refusals of all replicas by reason, from /metrics. */
  async refusals(): Promise<ReadonlyMap<string, number>> {
    const counts = new Map<string, number>()
    for (const [index] of this.ports.entries()) {
      const name = index === 0 ? 'controller' : `controller-${index + 1}`
      const log = readFileSync(join(this.#lab.dir, 'logs', `${name}.log`), 'utf8')
      const port = [...log.matchAll(/"msg":"metrics served".*?"port":(\d+)/g)].at(-1)?.[1]
      const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
      const lines = text.matchAll(/^spiderpool_controller_refused_total\{reason="(.+?)"\} (\d+)$/gm)
      for (const [, reason = '', count] of lines)
        counts.set(reason, (counts.get(reason) ?? 0) + Number(count))
    }
    return counts
  }
}

function readFailure(text: string): Answer['failure'] {
  try {
    return JSON.parse(text) as Answer['failure']
  } catch {
    return {}
  }
}
