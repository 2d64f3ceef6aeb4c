import { rename, writeFile } from 'node:fs/promises'
import { accountOf, trustNames } from '../../api/index.ts'
import { type Logger, OperationError, systemClock, toError } from '../../base/index.ts'
import type { KubeApi } from '../../kube/index.ts'
import { type LabPaths, nodePathsOf } from '../lab-paths.ts'
import { agentServiceAccount, ensureAgentPod, type NodeIdentity } from '../node/register-node.ts'
import { systemNamespace } from './program.ts'

const tokenSeconds = 3600
const lookEveryMs = 30_000
/** Renewed in the last fifth of its life, as a kubelet does. */
const renewAfterMs = tokenSeconds * 800

interface Wanted {
  readonly account: string
  readonly namespace: string
  /** What the token dies with. */
  readonly bound?: object
  /** Absent: it is for the API server. */
  readonly audience?: string
  readonly file: string
}

interface Issued {
  readonly podUid: string
  readonly atMs: number
}

/**
 * Gives each node's agent a token of its ServiceAccount, bound to the agent's pod, the controllers one of theirs, and new ones
 * before they expire.
 */
export class AgentTokens {
  readonly #api: KubeApi
  readonly #paths: LabPaths
  readonly #nodes: readonly NodeIdentity[]
  readonly #logger: Logger
  readonly #issued = new Map<string, Issued>()
  #controllerAtMs = 0

  constructor(options: {
    readonly api: KubeApi
    readonly paths: LabPaths
    readonly nodes: readonly NodeIdentity[]
    readonly logger: Logger
  }) {
    this.#api = options.api
    this.#paths = options.paths
    this.#nodes = options.nodes
    this.#logger = options.logger
  }

  /** Issues what is missing or due. */
  async issueDue(signal: AbortSignal): Promise<void> {
    await this.#issueController(signal)
    for (const node of this.#nodes) {
      const pod = await ensureAgentPod(this.#api, node, signal)
      const podUid = pod.metadata.uid ?? ''
      const issued = this.#issued.get(node.name)
      const isDue = issued === undefined || systemClock.nowMs() - issued.atMs > renewAfterMs
      if (!isDue && issued.podUid === podUid) continue
      const bound = { apiVersion: 'v1', kind: 'Pod', name: pod.metadata.name, uid: podUid }
      const { token, apiToken } = nodePathsOf(this.#paths, node.name)
      const wanted = { account: agentServiceAccount, namespace: node.systemNamespace, bound }
      await this.#issue({ ...wanted, audience: trustNames.audience, file: token }, signal)
      await this.#issue({ ...wanted, file: apiToken }, signal)
      this.#issued.set(node.name, { podUid, atMs: systemClock.nowMs() })
    }
  }

  /** The token by which the controllers use the API server. */
  async #issueController(signal: AbortSignal): Promise<void> {
    if (systemClock.nowMs() - this.#controllerAtMs <= renewAfterMs) return
    const account = accountOf('controller')
    const file = this.#paths.controllerToken
    await this.#issue({ account, namespace: systemNamespace, file }, signal)
    this.#controllerAtMs = systemClock.nowMs()
  }

  async #issue({ account, namespace, bound, audience, file }: Wanted, signal: AbortSignal): Promise<void> {
    const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${account}/token`
    const request = {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: {
        expirationSeconds: tokenSeconds,
        ...(bound === undefined ? {} : { boundObjectRef: bound }),
        ...(audience === undefined ? {} : { audiences: [audience] }),
      },
    }
    const answer = await this.#api.request<{ readonly status?: { readonly token?: unknown } }>(
      'POST',
      path,
      request,
      signal,
    )
    const token = answer.status?.token
    if (typeof token !== 'string' || token === '') throw new NoTokenError(account)
    await writeFile(`${file}.new`, token, { mode: 0o600 })
    await rename(`${file}.new`, file)
  }

  /** Renews until aborted. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await systemClock.sleep(lookEveryMs, signal)
        await this.issueDue(AbortSignal.any([signal, AbortSignal.timeout(lookEveryMs)]))
      } catch (error) {
        if (signal.aborted) return
        this.#logger.warn('tokens of agents not renewed, will try again', { err: toError(error) })
      }
    }
  }
}

class NoTokenError extends OperationError {
  override readonly code = 'LAB_NO_TOKEN'
  override readonly retry = 'later'
  constructor(account: string) {
    super(
      `Cannot get a token of ServiceAccount "${account}": the answer holds none`,
      'The API server must serve TokenRequest (Kubernetes 1.22 or later)',
    )
  }
}
