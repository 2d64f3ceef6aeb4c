import { readFile } from 'node:fs/promises'

import { type Logger, systemClock, systemRandom, toError } from '../base/index.ts'
import { elect, inClusterConfig, KubeClient, loadKubeconfig, type Term } from '../kube/index.ts'
import { LedgerDeposedError } from '../ledger/index.ts'
import {
  type AllocatorHandlers,
  NotLeaderError,
  type Route,
  type RunningServer,
  serveAllocator,
} from '../rpc/index.ts'
import { admissionRoutes, installWebhooks } from './admission.ts'
import { toRpcFailure } from './allocator/errors.ts'
import { type Caller, createAuthenticator } from './authenticate.ts'
import { type Caches, openCaches } from './caches.ts'
import { createEventRecorder } from './events.ts'
import { Leadership, type LeadershipContext } from './leadership.ts'
import type { ControllerOptions } from './options.ts'

const leaseName = 'spiderpool-controller-leases'
const closeBudgetMs = 2_000
const webhookRetryMs = 2_000
/** Between the name of a replica and its URL in the lease, so that the others can send agents to the leader. */
const urlMark = ' at '

/** Runs one controller replica until `signal` aborts. */
export async function runController(
  options: ControllerOptions,
  logger: Logger,
  signal: AbortSignal,
): Promise<void> {
  const access = await (options.kubeconfig === undefined
    ? inClusterConfig()
    : loadKubeconfig(options.kubeconfig))
  const api = new KubeClient(access, { userAgent: 'spiderpool-controller/0.1', logger })
  const caches = openCaches(api, logger)
  const replica = new Replica({ options, api, caches, logger })
  try {
    await replica.run(signal)
  } finally {
    await caches.close()
    await api.close()
  }
}

interface ReplicaParts {
  readonly options: ControllerOptions
  readonly api: KubeClient
  readonly caches: Caches
  readonly logger: Logger
}

class Replica {
  readonly #parts: ReplicaParts
  #leadership: Leadership | undefined
  #leaderUrl: string | undefined
  /** Highest term that was met in the blocks: a deleted lease must not make us start again below it. */
  #metTerm = 0

  constructor(parts: ReplicaParts) {
    this.#parts = parts
    const { caches } = parts
    caches.pods.onChange((old, now) => this.#leadership?.podChanged(old, now))
    caches.pools.onChange((old, now) => this.#leadership?.poolChanged(old, now))
    caches.reservedIps.onChange(() => this.#leadership?.reservationsChanged())
    caches.multusConfigs.onChange((_old, now) => this.#leadership?.multusConfigChanged(now))
  }

  async run(signal: AbortSignal): Promise<void> {
    const { options, api, caches, logger } = this.#parts
    const server = await this.#serve(signal)
    logger.info('serving', { url: options.url, port: server.port })
    const webhooks = this.#keepWebhooks(signal)
    await caches.synced(signal)
    const { leaseSeconds, namespace } = options
    await elect(
      api,
      {
        name: leaseName,
        namespace,
        identity: `${options.identity}${urlMark}${options.url}`,
        leaseSeconds,
        renewMs: (leaseSeconds * 1_000) / 3,
        retryMs: Math.min(2_000, leaseSeconds * 100),
        leastTerm: () => this.#metTerm,
        logger,
      },
      {
        lead: (term) => this.#lead(term),
        onLeader: (identity) => {
          this.#leaderUrl = identity?.split(urlMark)[1]
        },
      },
      signal,
    )
    await server.close(AbortSignal.timeout(closeBudgetMs))
    await webhooks
  }

  async #lead(term: Term): Promise<void> {
    const { options, api, caches, logger } = this.#parts
    const log = logger.with({ term: term.number })
    const events = createEventRecorder(api.background(), 'spiderpool-controller', systemClock, log)
    const context: LeadershipContext = {
      options,
      api,
      background: api.background(),
      caches,
      events,
      clock: systemClock,
      random: systemRandom,
      logger: log,
    }
    try {
      const leadership = await Leadership.start(context, term)
      this.#leadership = leadership
      await leadership.ended(term.signal)
      this.#leadership = undefined
      await leadership.close()
    } catch (error) {
      if (error instanceof LedgerDeposedError) this.#metTerm = Math.max(this.#metTerm, error.observedTerm)
      if (!term.signal.aborted) log.error('leadership ended', { err: toError(error) })
    } finally {
      this.#leadership = undefined
      await events.close()
    }
  }

  #serve(signal: AbortSignal): Promise<RunningServer> {
    const { options, api, logger } = this.#parts
    const { agentAccount, host, port } = options
    const authenticate = createAuthenticator({ api, agentAccount, clock: systemClock })
    return Promise.all([readFile(options.tlsCertFile, 'utf8'), readFile(options.tlsKeyFile, 'utf8')]).then(
      ([cert, key]) => {
        signal.throwIfAborted()
        return serveAllocator<Caller>(
          {
            host,
            port,
            tls: { cert, key },
            authenticate,
            handlers: this.#handlers(),
            routes: [...this.#probes(), ...admissionRoutes(api, webhookSettings(options))],
            toFailure: toRpcFailure,
          },
          logger,
        )
      },
    )
  }

  #handlers(): AllocatorHandlers<Caller> {
    const leader = (): Leadership => {
      if (this.#leadership === undefined) throw new NotLeaderError(this.#leaderUrl)
      return this.#leadership
    }
    return {
      allocate: async (caller, request, signal) => leader().allocate(caller.node, request, signal),
      release: async (caller, request, signal) => leader().release(caller.node, request, signal),
      check: async (caller, request) => leader().check(caller.node, request),
      nodeReport: async (caller, report) => leader().nodeReport(caller.node, report),
    }
  }

  #probes(): readonly Route[] {
    const probe = (path: string, isGood: () => boolean): Route => ({
      method: 'GET',
      path,
      maxBodyBytes: 0,
      deadlineMs: 1_000,
      handle: () =>
        Promise.resolve(isGood() ? { status: 200, body: 'ok\n' } : { status: 503, body: 'not ready\n' }),
    })
    const hasLeader = () => this.#leadership !== undefined || this.#leaderUrl !== undefined
    return [
      probe('/healthz', () => true),
      probe('/readyz', hasLeader),
      probe('/leading', () => this.#leadership !== undefined),
    ]
  }

  /** The configurations are ours: installed at start, tried until it works. */
  async #keepWebhooks(signal: AbortSignal): Promise<void> {
    const { options, api, logger } = this.#parts
    const caBundle = Buffer.from(await readFile(options.caFile, 'utf8')).toString('base64')
    while (!signal.aborted) {
      try {
        await installWebhooks({ kind: 'url', baseUrl: options.url, caBundle }, api.background(), signal)
        return
      } catch (error) {
        if (signal.aborted) return
        logger.warn('webhooks not installed', { err: toError(error) })
        await systemClock.sleep(webhookRetryMs, signal).catch(() => undefined)
      }
    }
  }
}

function webhookSettings({ enableIpv4, enableIpv6 }: ControllerOptions) {
  return { enableIPv4: enableIpv4, enableIPv6: enableIpv6, enableSpiderSubnet: true, guardDeletion: false }
}
