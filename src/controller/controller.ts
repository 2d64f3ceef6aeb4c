import { controllerServerName, leaderLeaseName, parseProductConfig, trustNames } from '../api/index.ts'
import { type Counter, type Logger, Metrics, systemClock, systemRandom, toError } from '../base/index.ts'
import {
  createEventRecorder,
  type EventRecorder,
  elect,
  inClusterConfig,
  KubeClient,
  loadKubeconfig,
  readYamlFile,
  type Term,
} from '../kube/index.ts'
import { LedgerDeposedError } from '../ledger/index.ts'
import {
  type RefusalReason,
  type Route,
  type RunningServer,
  refusalReasons,
  serveAllocator,
  serveHttps,
} from '../rpc/index.ts'
import type { WebhookTarget } from '../webhook/index.ts'
import { admissionRoutes, installWebhooks } from './admission.ts'
import { conflictCounter } from './allocator/conflicts.ts'
import { toRpcFailure } from './allocator/errors.ts'
import type { ConflictOutcome } from './allocator/world.ts'
import { type Caches, openCaches } from './caches.ts'
import { followCaches } from './follow-caches.ts'
import { LeaderGate } from './leader-gate.ts'
import { Leadership, type LeadershipContext } from './leadership.ts'
import { type ControllerOptions, webhookSettings, withConfig } from './options.ts'
import { type Caller, createAuthenticator } from './trust/authenticate.ts'
import { openCertificateFiles } from './trust/certificate-files.ts'
import type { CertificateSource } from './trust/certificate-source.ts'
import { keepTrust, publishAuthorities } from './trust/keep-trust.ts'
import { openSelfManaged } from './trust/self-managed.ts'
import { endpointCalls } from './views/endpoint-view.ts'

/** A renewal each fifth of the lease; a candidate looks so often, so that a lease that is given back is taken at once. */
const renewalsPerLease = 5
const candidateLookMs = 500
const closeBudgetMs = 1_000
const eventsBudgetMs = 200
const eventSource = { component: 'spiderpool-controller' }
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
  const events = createEventRecorder(api.background(), eventSource, systemClock, logger)
  const metrics = new Metrics()
  try {
    const certificates = await openCertificates(options, { api, events, logger }, signal)
    if (certificates === undefined) return
    const replica = new Replica({ options, api, leaseApi, caches, logger, certificates, metrics })
    await replica.run(signal)
  } finally {
    await events.close(AbortSignal.timeout(eventsBudgetMs))
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
  readonly certificates: CertificateSource
  readonly metrics: Metrics
}

class Replica {
  readonly #parts: ReplicaParts
  readonly #gate = new LeaderGate<Leadership>()
  readonly #conflicts: Counter<ConflictOutcome>
  /** Highest term that was met in the blocks: a deleted lease must not make us start again below it. */
  #metTerm = 0

  constructor(parts: ReplicaParts) {
    this.#parts = parts
    this.#conflicts = conflictCounter(parts.metrics)
    followCaches(parts.caches, () => this.#gate.leadership)
  }

  /** Ends when `signal` aborts, also before the caches are there. */
  async run(signal: AbortSignal): Promise<void> {
    const { options, caches, logger } = this.#parts
    const servers = await this.#serve()
    logger.info('serving', { url: options.url, port: servers[0]?.port })
    const over = new AbortController()
    const close = async () => {
      over.abort()
      await Promise.all(servers.map((server) => server.close(AbortSignal.timeout(closeBudgetMs))))
      await following
    }
    const following = this.#parts.certificates.follow(AbortSignal.any([signal, over.signal]))
    // Agents that ask now go to the next leader; what is under way is answered while the lease is given back.
    const closing = new Promise<void>((resolve, reject) => {
      const closeAll = () => void close().then(resolve, reject)
      if (signal.aborted) closeAll()
      else signal.addEventListener('abort', closeAll, { once: true })
    })
    try {
      await caches.synced(signal)
      await this.#elect(signal)
    } catch (error) {
      if (!signal.aborted) {
        await close()
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
    const events = createEventRecorder(background, eventSource, systemClock, log)
    const clock = systemClock
    const conflicts = this.#conflicts
    const ports = { clock, random: systemRandom, logger: log }
    const views = api.background(endpointCalls)
    const context = { options, api, background, views, caches, events, conflicts, ...ports }
    const over = new AbortController()
    const trust = this.#keepTrust(AbortSignal.any([term.signal, over.signal]))
    try {
      await this.#leadUntilEnded(context, term)
    } catch (error) {
      if (error instanceof LedgerDeposedError) this.#metTerm = Math.max(this.#metTerm, error.observedTerm)
      if (!term.signal.aborted) log.error('leadership ended', { err: toError(error) })
    } finally {
      over.abort()
      await Promise.all([trust, events.close(AbortSignal.timeout(eventsBudgetMs))])
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

  async #serve(): Promise<readonly RunningServer[]> {
    const { options, api, logger, certificates, metrics } = this.#parts
    const { agentAccount, host, port } = options
    const authenticate = createAuthenticator({ api, agentAccount, clock: systemClock })
    const refused = metrics.counter<RefusalReason>({
      name: 'spiderpool_controller_refused_total',
      help: 'Calls and connections that were turned away, by reason',
      label: 'reason',
      labels: refusalReasons,
    })
    const server = await serveAllocator<Caller>(
      {
        host,
        port,
        tls: certificates.current,
        authenticate,
        handlers: this.#gate.handlers(),
        requireServing: () => this.#gate.requireLeader(),
        routes: [
          ...this.#gate.probes(),
          ...admissionRoutes(api, webhookSettings(options), this.#parts.caches),
        ],
        toFailure: toRpcFailure,
        onRefused: (reason) => refused.add(reason),
      },
      logger,
    )
    certificates.onChange((now) => server.setCertificate(now))
    metrics.gauge({
      name: 'spiderpool_controller_untrusted_connections',
      help: 'Open connections that have shown no token',
      read: () => server.stats().untrustedConnections,
    })
    if (options.metrics === undefined) return [server]
    const numbers: Route = {
      method: 'GET',
      path: '/metrics',
      maxBodyBytes: 0,
      deadlineMs: 1_000,
      handle: () =>
        Promise.resolve({ status: 200, body: metrics.text(), contentType: 'text/plain; version=0.0.4' }),
    }
    const second = await serveHttps({ ...options.metrics, routes: [numbers] }, logger)
    logger.info('metrics served', { host: options.metrics.host, port: second.port })
    return [server, second]
  }

  /**
   * Renews certificates, tells of their authorities, points the webhooks at the leader, and mends what somebody changed. The leader
   * alone: else the replica that started last would have the webhooks, and take all writes of our kinds with it when it goes.
   */
  async #keepTrust(signal: AbortSignal): Promise<void> {
    const { options, api, logger, certificates } = this.#parts
    const { namespace } = options
    const tell = async (bundle: string, inner: AbortSignal) => {
      const background = api.background()
      const target = webhookTarget(options, Buffer.from(bundle).toString('base64'))
      await publishAuthorities(background, { namespace, name: trustNames.authorities }, bundle, inner)
      await installWebhooks(target, webhookSettings(options), background, inner)
    }
    await keepTrust({ source: certificates, tell, clock: systemClock, logger }, signal)
  }
}

/** @returns undefined when `signal` aborted first */
async function openCertificates(
  { tls, namespace }: ControllerOptions,
  ports: { readonly api: KubeClient; readonly events: EventRecorder; readonly logger: Logger },
  signal: AbortSignal,
): Promise<CertificateSource | undefined> {
  const clock = systemClock
  const { logger } = ports
  if (tls.mode === 'files') {
    const serverName = controllerServerName(namespace)
    return openCertificateFiles({ files: tls.files, serverName, clock, logger })
  }
  const { secretName: name, policy } = tls
  try {
    return await openSelfManaged({ ...ports, secret: { namespace, name }, policy, clock }, signal)
  } catch (error) {
    if (signal.aborted) return undefined
    throw error
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
