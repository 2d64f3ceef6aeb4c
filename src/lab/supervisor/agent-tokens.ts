import { rename, writeFile } from 'node:fs/promises'
import { type Logger, OperationError, systemClock, toError } from '../../base/index.ts'
import type { KubeApi } from '../../kube/index.ts'
import { type LabPaths, nodePathsOf } from '../lab-paths.ts'
import { agentServiceAccount, ensureAgentPod, type NodeIdentity } from '../node/register-node.ts'

const tokenSeconds = 3600
const lookEveryMs = 30_000
/** Renewed in the last fifth of its life, as a kubelet does. */
const renewAfterMs = tokenSeconds * 800

interface Issued {
  readonly podUid: string
  readonly atMs: number
}

/** Gives each node's agent a token of its ServiceAccount, bound to the agent's pod, and a new one before it expires. */
export class AgentTokens {
  readonly #api: KubeApi
  readonly #paths: LabPaths
  readonly #nodes: readonly NodeIdentity[]
  readonly #logger: Logger
  readonly #issued = new Map<string, Issued>()

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
    for (const node of this.#nodes) {
      const pod = await ensureAgentPod(this.#api, node, signal)
      const podUid = pod.metadata.uid ?? ''
      const issued = this.#issued.get(node.name)
      const isDue = issued === undefined || systemClock.nowMs() - issued.atMs > renewAfterMs
      if (!isDue && issued.podUid === podUid) continue
      await this.#issue(node, pod.metadata.name, podUid, signal)
      this.#issued.set(node.name, { podUid, atMs: systemClock.nowMs() })
    }
  }

  async #issue(node: NodeIdentity, podName: string, podUid: string, signal: AbortSignal): Promise<void> {
    const { systemNamespace } = node
    const path = `/api/v1/namespaces/${systemNamespace}/serviceaccounts/${agentServiceAccount}/token`
    const request = {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: {
        expirationSeconds: tokenSeconds,
        boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name: podName, uid: podUid },
      },
    }
    const answer = await this.#api.request<{ readonly status?: { readonly token?: unknown } }>(
      'POST',
      path,
      request,
      signal,
    )
    const token = answer.status?.token
    if (typeof token !== 'string' || token === '') throw new NoTokenError(node.name)
    const file = nodePathsOf(this.#paths, node.name).token
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
  constructor(node: string) {
    super(
      `Cannot get a token for the agent of node "${node}": the answer holds none`,
      'The API server must serve TokenRequest (Kubernetes 1.22 or later)',
    )
  }
}
