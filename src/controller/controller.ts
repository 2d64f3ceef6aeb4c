import { readFile } from 'node:fs/promises'

import { leaderLeaseName, parseProductConfig } from '../api/index.ts'
import { type Logger, systemClock, systemRandom, toError } from '../base/index.ts'
import {
  createEventRecorder,
  elect,
  inClusterConfig,
  KubeClient,
  loadKubeconfig,
  readYamlFile,
  type Term,
} from '../kube/index.ts'
import { LedgerDeposedError } from '../ledger/index.ts'
import { type RunningServer, serveAllocator } from '../rpc/index.ts'
import type { WebhookTarget } from '../webhook/index.ts'
import { admissionRoutes, installWebhooks } from './admission.ts'
import { toRpcFailure } from './allocator/errors.ts'
import { type Caller, createAuthenticator } from './authenticate.ts'
import { type Caches, openCaches } from './caches.ts'
import { LeaderGate } from './leader-gate.ts'
import { Leadership, type LeadershipContext } from './leadership.ts'
import { type ControllerOptions, webhookSettings, withConfig } from './options.ts'

/** A renewal each fifth of the lease; a candidate looks so often, so that a lease that is given back is taken at once. */
const renewalsPerLease = 5
const candidateLookMs = 500
const closeBudgetMs = 1_000
const eventsBudgetMs = 200
const webhookRetryMs = 2_000
/** The leader looks so often whether the webhooks still are what they should be. */
const webhookCheckMs = 60_000
/** Between the name of a replica and its URL in the lease, so that the others can send agents to the leader. */
const urlMark = ' at '

/** Runs one controller replica until `signal` aborts. */
export async function runController(
  given: ControllerOptions,
  logger: Logger,
  signal: AbortSignal,
): Promise<void> {
  const options = await readConfig(given, logger)
  const access = await (options.kubeconfig === undefined
    ? inClusterConfig()
    : loadKubeconfig(options.kubeconfig))
  const userAgent = 'spiderpool-controller/0.1'
  const api = new KubeClient(access, { userAgent, logger })
  // Connections of its own: a burst of calls, or calls that hang, must not hold up the renewal of the lease.
  const leaseApi = new KubeClient(access, { userAgent, logger })
  const caches = openCaches(api, logger)
  const replica = new Replica({ options, api, leaseApi, caches, logger })
  try {
    await replica.run(signal)
  } finally {
    await caches.close()
    await Promise.all([api.close(), leaseApi.close()])
  }
}

interface ReplicaParts {
  readonly options: ControllerOptions
  readonly api: KubeClient
  readonly leaseApi: KubeClient
  readonly caches: Caches
  readonly logger: Logger
}

class Replica {
  readonly #parts: ReplicaParts
  readonly #gate = new LeaderGate<Leadership>()
  /** Highest term that was met in the blocks: a deleted lease must not make us start again below it. */
  #metTerm = 0

  constructor(parts: ReplicaParts) {
    this.#parts = parts
    const { caches } = parts
    caches.pods.onChange((old, now) => this.#gate.leadership?.podChanged(old, now))
    caches.pools.onChange((old, now) => this.#gate.leadership?.poolChanged(old, now))
    caches.reservedIps.onChange(() => this.#gate.leadership?.reservationsChanged())
    caches.networkAttachments.onChange((old, now) =>
      this.#gate.leadership?.networkAttachmentChanged(old, now),
    )
    caches.multusConfigs.onChange((_old, now) => this.#gate.leadership?.multusConfigChanged(now))
  }

  /** Ends when `signal` aborts, also before the caches are there. */
  async run(signal: AbortSignal): Promise<void> {
    const { options, caches, logger } = this.#parts
    const server = await this.#serve(signal)
    logger.info('serving', { url: options.url, port: server.port })
    // Agents that ask now go to the next leader; what is under way is answered while the lease is given back.
    const closing = new Promise<void>((resolve, reject) => {
      const close = () => void server.close(AbortSignal.timeout(closeBudgetMs)).then(resolve, reject)
      if (signal.aborted) close()
      else signal.addEventListener('abort', close, { once: true })
    })
    try {
      await caches.synced(signal)
      await this.#elect(signal)
    } catch (error) {
      if (!signal.aborted) {
        await server.close(AbortSignal.timeout(closeBudgetMs))
        throw error
      }
    }
    await closing
  }

  async #elect(signal: AbortSignal): Promise<void> {
    const { options, leaseApi, logger } = this.#parts
    const { leaseSeconds, namespace, identity, url } = options
    await elect(
      leaseApi,
      {
        name: leaderLeaseName,
        namespace,
        identity: `${identity}${urlMark}${url}`,
        leaseSeconds,
        renewMs: (leaseSeconds * 1_000) / renewalsPerLease,
        retryMs: candidateLookMs,
        leastTerm: () => this.#metTerm,
        logger,
      },
      {
        lead: (term) => this.#lead(term),
        onLeader: (leader) => {
          const leaderUrl = leader?.split(urlMark)[1]
          // While this one does not serve yet, or not any more, an agent that is sent here would come back at once.
          this.#gate.noteLeader(leaderUrl === url ? undefined : leaderUrl)
        },
      },
      signal,
    )
  }

  async #lead(term: Term): Promise<void> {
    const { options, api, caches, logger } = this.#parts
    const log = logger.with({ term: term.number })
    const background = api.background()
    const source = { component: 'spiderpool-controller' }
    const events = createEventRecorder(background, source, systemClock, log)
    const clock = systemClock
    const context = { options, api, background, caches, events, clock, random: systemRandom, logger: log }
    const over = new AbortController()
    const webhooks = this.#keepWebhooks(AbortSignal.any([term.signal, over.signal]))
    try {
      await this.#leadUntilEnded(context, term)
    } catch (error) {
      if (error instanceof LedgerDeposedError) this.#metTerm = Math.max(this.#metTerm, error.observedTerm)
      if (!term.signal.aborted) log.error('leadership ended', { err: toError(error) })
    } finally {
      over.abort()
      await Promise.all([webhooks, events.close(AbortSignal.timeout(eventsBudgetMs))])
    }
  }

  async #leadUntilEnded(context: LeadershipContext, term: Term): Promise<void> {
    const leadership = await Leadership.start(context, term)
    this.#gate.open(leadership, term)
    try {
      await leadership.ended(term.signal)
    } finally {
      this.#gate.close()
      await leadership.close()
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
            handlers: this.#gate.handlers(),
            requireServing: () => this.#gate.requireLeader(),
            routes: [
              ...this.#gate.probes(),
              ...admissionRoutes(api, webhookSettings(options), this.#parts.caches),
            ],
            toFailure: toRpcFailure,
          },
          logger,
        )
      },
    )
  }

  /**
   * Points the webhooks at the leader, and mends them when somebody changed or deleted them. The leader alone: else the replica
   * that started last would have them, and take all writes of our kinds with it when it goes.
   */
  async #keepWebhooks(signal: AbortSignal): Promise<void> {
    const { options, api, logger } = this.#parts
    while (!signal.aborted) {
      let waitMs = webhookCheckMs
      try {
        const caBundle = Buffer.from(await readFile(options.caFile, 'utf8')).toString('base64')
        const target = webhookTarget(options, caBundle)
        await installWebhooks(target, webhookSettings(options), api.background(), signal)
      } catch (error) {
        if (signal.aborted) return
        logger.warn('webhooks not installed', { err: toError(error) })
        waitMs = webhookRetryMs
      }
      await systemClock.sleep(waitMs, signal).catch(() => undefined)
    }
  }
}

function webhookTarget({ webhookService, url }: ControllerOptions, caBundle: string): WebhookTarget {
  return webhookService === undefined
    ? { kind: 'url', baseUrl: url, caBundle }
    : { kind: 'service', ...webhookService, caBundle }
}

/** Options after the installation's `conf.yml`. @throws {InvalidInputError} naming the key */
async function readConfig(options: ControllerOptions, logger: Logger): Promise<ControllerOptions> {
  if (options.configFile === undefined) return options
  const { config, warnings } = parseProductConfig(await readYamlFile(options.configFile))
  for (const warning of warnings) logger.warn(warning)
  return withConfig(options, config)
}
