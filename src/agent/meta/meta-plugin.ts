import {
  type Clock,
  deadlineAfter,
  type Logger,
  OperationError,
  type StepTimes,
  toError,
  undone,
} from '../../base/index.ts'
import {
  type AttachmentId,
  CniError,
  type CniRequest,
  type CniResult,
  cniCodes,
  convertResult,
  isAtLeast,
  KeyedLock,
  type NetworkList,
  parseNetworkList,
  type Runner,
  type RuntimeAttachment,
} from '../../cni/index.ts'
import type { KubeApi } from '../../kube/index.ts'
import { buildNetworkStatus, isDefaultDestination, planDefaultRoutes } from '../../network/index.ts'
import type { PodEvents } from '../pod-events.ts'
import { type PodIdentity, podOf, requireForeignNamespace } from '../pod-identity.ts'
import type { Namespaces } from '../ports.ts'
import { NetworkMissingError, readPod, writeNetworkStatus } from './cluster-reader.ts'
import { type Given, withGiven } from './given.ts'
import { type MetaDefaults, parseMetaConfig } from './meta-config.ts'
import { type ResolvedAttachment, resolveAttachments, resolveList } from './resolve.ts'
import type { Scratch, ScratchAttachment, ScratchStore } from './scratch.ts'

/** What the meta-plugin works with. */
export interface MetaPorts {
  readonly kube: KubeApi
  readonly runner: Runner
  readonly scratch: ScratchStore
  readonly namespaces: Namespaces
  readonly events: PodEvents
  readonly clock: Clock
  readonly logger: Logger
  readonly confDir: string
  readonly defaults: MetaDefaults
  /** Gives back all addresses that the node's journal has of a container. */
  releaseContainer(containerId: string, signal: AbortSignal): Promise<void>
  /** What came with the addresses of an interface. */
  givenTo(id: AttachmentId): Given
  podsOfNode(signal: AbortSignal): Promise<ReadonlySet<string>>
}

type Ask<Command extends CniRequest['command']> = Extract<CniRequest, { command: Command }>

// Less than the pipe's 100 s, so that the answer still arrives.
const addBudgetMs = 95_000
const undoBudgetMs = 60_000
const delBudgetMs = 90_000
const statusBudgetMs = 1_800
const gcBudgetMs = 100_000
/** So often DEL reports the same failure; then it succeeds, and the agent goes on by itself. */
const maxSameFailures = 3
const maxAbandonedMs = 24 * 3_600_000

/** The meta-plugin `spiderpool-meta`: attaches a pod to its networks, and takes down exactly what it set up. */
export class MetaPlugin {
  readonly #ports: MetaPorts
  readonly #containers = new KeyedLock()

  constructor(ports: MetaPorts) {
    this.#ports = ports
  }

  /** @returns the result of the default network, in the version of the configuration */
  async add(request: Ask<'ADD'>, steps: StepTimes, signal: AbortSignal): Promise<object> {
    const config = parseMetaConfig(request.config, this.#ports.defaults)
    const identity = podOf(request.env)
    const { env } = request
    requireForeignNamespace(env, this.#ports.namespaces)
    using deadline = deadlineAfter(addBudgetMs, signal)
    const limited = deadline.signal
    return await this.#containers.run(env.containerId, 'exclusive', limited, async () => {
      try {
        await this.#tearDownOlder(env.containerId, limited)
        const pod = await readPod(this.#ports.kube, identity, limited)
        steps.end('pod')
        const call = { env, pod, config }
        const attachments = await resolveAttachments(call, this.#ports, limited)
        this.#requireFreeNames(env.netns, attachments)
        steps.end('networks')
        const known = { ...identity, uid: pod.metadata.uid ?? identity.podUid, steps }
        const result = await this.#attachAll(request, known, attachments, limited)
        return convertResult(result, request.config.cniVersion)
      } catch (error) {
        this.#reportRefusal(identity, toError(error))
        throw error
      }
    })
  }

  async #attachAll(
    request: Ask<'ADD'>,
    { steps, ...identity }: PodIdentity & { readonly uid: string; readonly steps: StepTimes },
    attachments: readonly ResolvedAttachment[],
    signal: AbortSignal,
  ): Promise<CniResult> {
    const { containerId, ifName, netns } = request.env
    const { podNamespace, podName, uid } = identity
    const scratch: Scratch = {
      containerId,
      network: request.config.name,
      ifName,
      netns,
      podNamespace,
      podName,
      podUid: uid,
      attachments: attachments.map(({ list: _list, defaultRoute: _route, ...kept }) => kept),
    }
    await this.#ports.scratch.write(scratch) // before the first plugin: a crash from here on is undone by DEL
    steps.end('scratch')
    const results: CniResult[] = []
    try {
      for (const attachment of attachments) {
        const runtime = runtimeOf(scratch, attachment)
        const made = await this.#ports.runner.add(attachment.list, runtime, signal)
        const given = { given: this.#ports.givenTo(runtime), network: attachment.name }
        const result = withGiven(made, runtime, given, this.#ports.namespaces)
        if (result !== made) await this.#ports.runner.recordResult(attachment.list, runtime, result)
        results.push(result)
        const ips = (result.ips ?? []).map((ip) => ip.address).join(' ')
        const text = `Add ${attachment.ifName} [${ips}] from ${attachment.name}`
        this.#ports.events.record({ ...identity, podUid: uid }, 'Normal', 'AddedInterface', text)
      }
      steps.end('plugins')
      const final = await this.#applyDefaultRoutes(scratch, attachments, results)
      await this.#writeStatus(identity, attachments, final, signal)
      steps.end('status')
      const [first] = final
      if (first !== undefined) return first
      throw new CniError({
        cniCode: cniCodes.internal,
        slug: 'internal',
        message: 'Cannot ADD: no result',
        hint: '',
      })
    } catch (cause) {
      // Also those that never ran: a plugin may have failed half way, and DEL of nothing is success.
      throw await undone(cause, () => this.#tearDown(scratch, AbortSignal.timeout(undoBudgetMs)))
    }
  }

  // kubelet repeats an ADD that took too long: what the older attempt made goes first.
  async #tearDownOlder(containerId: string, signal: AbortSignal): Promise<void> {
    const older = await this.#ports.scratch.read(containerId)
    if (older !== undefined) await this.#tearDown(older, signal)
  }

  #requireFreeNames(netns: string, attachments: readonly ResolvedAttachment[]): void {
    const present = new Set(this.#ports.namespaces.interfaceNames(netns))
    const taken = attachments.filter((attachment) => present.has(attachment.ifName))
    if (taken.length === 0) return
    throw new CniError({
      cniCode: cniCodes.config,
      slug: 'interface-exists',
      message: `Cannot attach ${taken.map((item) => item.ifName).join(', ')}: it is in the sandbox already`,
      hint: 'select the network under another interface name, or let the runtime make a new sandbox',
    })
  }

  async #applyDefaultRoutes(
    scratch: Scratch,
    attachments: readonly ResolvedAttachment[],
    results: readonly CniResult[],
  ): Promise<readonly CniResult[]> {
    const plans = planDefaultRoutes(
      attachments.map(({ defaultRoute }, index) => ({
        routes: results[index]?.routes ?? [],
        ...(defaultRoute === undefined ? {} : { defaultRoute }),
      })),
    )
    const changes = plans.map((plan, index) => ({ ...plan, ifName: attachments[index]?.ifName ?? '' }))
    const real = changes.filter(({ remove, install }) => remove.length + install.length > 0)
    if (real.length === 0) return results
    this.#ports.namespaces.changeDefaultRoutes(scratch.netns, real)
    const final: CniResult[] = []
    for (const [index, result] of results.entries()) {
      const attachment = attachments[index]
      const plan = plans[index]
      if (attachment === undefined || plan === undefined) continue
      const kept = (result.routes ?? []).filter(
        ({ dst }) => !(isDefaultDestination(dst) && plan.remove.includes(dst.includes(':') ? 6 : 4)),
      )
      const added = plan.install.map(({ version, gateway }) => ({
        dst: version === 4 ? '0.0.0.0/0' : '::/0',
        gw: gateway,
      }))
      const changed = { ...result, routes: [...kept, ...added] }
      // CHECK and DEL are to see what is there now.
      await this.#ports.runner.recordResult(attachment.list, runtimeOf(scratch, attachment), changed)
      final.push(changed)
    }
    return final
  }

  async #writeStatus(
    identity: PodIdentity & { readonly uid: string },
    attachments: readonly ResolvedAttachment[],
    results: readonly CniResult[],
    signal: AbortSignal,
  ): Promise<void> {
    const status = buildNetworkStatus(
      attachments.map(({ name, ifName, isDefault, gateways }, index) => {
        const { interfaces = [], ips = [], dns = {} } = results[index] ?? {}
        return { name, ifName, isDefault, gateways, result: { interfaces, ips, dns: { ...dns } } }
      }),
    )
    await writeNetworkStatus(this.#ports.kube, identity, status, signal)
  }

  #reportRefusal(identity: PodIdentity, error: Error): void {
    const reason = error instanceof NetworkMissingError ? 'NoNetworkFound' : 'FailedAttach'
    // `details` of a plugin says what its message leaves out, such as why each pool was refused.
    const more = error instanceof CniError ? error.details : error instanceof OperationError ? error.hint : ''
    this.#ports.events.record(
      identity,
      'Warning',
      reason,
      `${error.message}${more === '' ? '' : ` (${more})`}`,
    )
  }

  async del(request: Ask<'DEL'>, signal: AbortSignal): Promise<void> {
    using deadline = deadlineAfter(delBudgetMs, signal)
    const limited = deadline.signal
    await this.#delContainer(request.env.containerId, limited, request.env.netns)
  }

  async #delContainer(containerId: string, signal: AbortSignal, netns?: string): Promise<void> {
    await this.#containers.run(containerId, 'exclusive', signal, async () => {
      const found = await this.#ports.scratch.read(containerId)
      const scratch = found ?? (await this.#fromResultCache(containerId))
      if (scratch === undefined) return this.#ports.releaseContainer(containerId, signal)
      // The runtime says '' once the namespace is gone.
      await this.#tearDownCounted(netns === undefined ? scratch : { ...scratch, netns }, signal)
    })
  }

  // The second step of the ladder: each cached result holds the configuration that made it.
  async #fromResultCache(containerId: string): Promise<Scratch | undefined> {
    const cached = (await this.#ports.runner.cached({ containerId })).filter((entry) => entry.listText !== '')
    if (cached.length === 0) return undefined
    return {
      containerId,
      network: '',
      ifName: '',
      netns: cached[0]?.netns ?? '',
      podNamespace: '',
      podName: '',
      podUid: '',
      attachments: cached.map((entry) => ({
        ifName: entry.ifName,
        name: entry.networkName,
        isDefault: false,
        listText: entry.listText,
        args: entry.args,
        capabilityArgs: entry.capabilityArgs,
        gateways: [],
      })),
    }
  }

  async #tearDownCounted(scratch: Scratch, signal: AbortSignal): Promise<void> {
    try {
      await this.#tearDown(scratch, signal)
    } catch (error) {
      const { message } = toError(error)
      const { failure } = scratch
      const isSame = failure?.message === message
      const count = isSame ? failure.count + 1 : 1
      const sinceMs = isSame ? failure.sinceMs : this.#ports.clock.nowMs()
      await this.#ports.scratch.write({ ...scratch, failure: { message, count, sinceMs } })
      if (count < maxSameFailures) throw error
      this.#ports.logger.error('teardown is left to the agent', {
        containerId: scratch.containerId,
        err: error,
      })
    }
  }

  /** All attachments in reverse, through all failures; the scratch file goes when nothing is left. */
  async #tearDown(scratch: Scratch, signal: AbortSignal): Promise<void> {
    const errors: Error[] = []
    for (const attachment of scratch.attachments.toReversed()) {
      try {
        await this.#ports.runner.del(listOf(attachment), runtimeOf(scratch, attachment), signal)
      } catch (error) {
        errors.push(toError(error))
      }
    }
    // Also what a plugin failed, or forgot, to release; but never while its interface may still use the address.
    if (errors.length === 0 || this.#areLinksGone(scratch))
      await this.#ports.releaseContainer(scratch.containerId, signal)
    const [first] = errors
    if (first === undefined) return this.#ports.scratch.delete(scratch.containerId)
    const cniCode = first instanceof CniError ? first.cniCode : cniCodes.delegate
    const reasons = errors.map((error) => error.message).join(' / ')
    const message = `Cannot remove all attachments of ${scratch.containerId}: ${reasons}`
    const hint = 'see each message; DEL is repeated'
    const parts = { cniCode, slug: 'teardown-incomplete', message, hint }
    throw new CniError(parts, { cause: new AggregateError(errors) })
  }

  #areLinksGone({ netns, attachments }: Scratch): boolean {
    const { namespaces } = this.#ports
    if (netns === '' || namespaces.identity(netns) === undefined) return true
    const present = namespaces.interfaceNames(netns)
    return !attachments.some(({ ifName }) => present.includes(ifName))
  }

  async check(request: Ask<'CHECK'>, signal: AbortSignal): Promise<void> {
    const { containerId } = request.env
    using deadline = deadlineAfter(addBudgetMs, signal)
    const limited = deadline.signal
    await this.#containers.run(containerId, 'exclusive', limited, async () => {
      const scratch = await this.#ports.scratch.read(containerId)
      if (scratch === undefined)
        throw new CniError({
          cniCode: cniCodes.config,
          slug: 'not-recorded',
          message: `Cannot CHECK ${containerId}: this node has no record of its ADD`,
          hint: 'remove the sandbox and let the runtime make a new one',
        })
      for (const attachment of scratch.attachments) {
        const list = listOf(attachment)
        const version = await this.#ports.runner.prepare(list, limited)
        if (!isAtLeast(version, '0.4.0')) continue // its version has no CHECK
        await this.#ports.runner.check(list, runtimeOf(scratch, attachment), limited)
      }
    })
  }

  /** The default network can be attached: its object is readable, its plugins are there and say that they are ready. */
  async status(request: Ask<'STATUS'>, signal: AbortSignal): Promise<void> {
    const config = parseMetaConfig(request.config, this.#ports.defaults)
    using deadline = deadlineAfter(statusBudgetMs, signal)
    const limited = deadline.signal
    try {
      const list = await resolveList({ selection: config.clusterNetwork }, this.#ports, limited)
      await this.#ports.runner.status(list, limited)
    } catch (cause) {
      const { namespace, name } = config.clusterNetwork
      const message = `Cannot serve ADD: default network "${namespace}/${name}": ${toError(cause).message}`
      const hint = cause instanceof OperationError ? cause.hint : 'see the log of the agent'
      throw new CniError({ cniCode: cniCodes.notAvailable, slug: 'not-ready', message, hint }, { cause })
    }
  }

  /** Removes the containers that the runtime does not list, then lets each network that is left collect its own. */
  async gc(request: Ask<'GC'>, signal: AbortSignal): Promise<void> {
    using deadline = deadlineAfter(gcBudgetMs, signal)
    const limited = deadline.signal
    const valid = new Set(request.validAttachments.map((item) => item.containerId))
    const known = (await this.#allScratch()).filter((scratch) => scratch.network === request.config.name)
    const stale = known.filter((scratch) => !valid.has(scratch.containerId))
    // As for addresses: an empty list does not remove the pods that live.
    const isSuspicious = request.validAttachments.length === 0 && stale.length > 0
    const alive = isSuspicious ? await this.#ports.podsOfNode(limited) : new Set<string>()
    const errors: Error[] = []
    for (const scratch of stale) {
      if (alive.has(scratch.podUid)) continue
      await this.#delContainer(scratch.containerId, limited).catch((error: unknown) =>
        errors.push(toError(error)),
      )
    }
    for (const { list, pairs } of networksOf(known.filter((scratch) => valid.has(scratch.containerId))))
      await this.#ports.runner.gc(list, pairs, limited).catch((error: unknown) => errors.push(toError(error)))
    if (errors.length === 0) return
    const message = `Cannot remove all that is stale: ${errors.map((error) => error.message).join('; ')}`
    throw new CniError({ cniCode: cniCodes.delegate, slug: 'gc-incomplete', message, hint: 'repeat GC' })
  }

  /** Repeats the teardowns that DEL left to the agent. @returns how many are left */
  async retryTeardowns(signal: AbortSignal): Promise<number> {
    let left = 0
    for (const scratch of await this.#allScratch()) {
      const { failure, containerId } = scratch
      if (failure === undefined || failure.count < maxSameFailures) continue
      if (this.#ports.clock.nowMs() - failure.sinceMs > maxAbandonedMs) {
        this.#ports.logger.error('teardown is given up', { containerId, err: failure.message })
        await this.#ports.releaseContainer(containerId, signal)
        await this.#ports.scratch.delete(containerId)
        continue
      }
      await this.#delContainer(containerId, signal)
      if ((await this.#ports.scratch.read(containerId)) !== undefined) left++
    }
    return left
  }

  async #allScratch(): Promise<readonly Scratch[]> {
    const all: Scratch[] = []
    for (const containerId of await this.#ports.scratch.containers()) {
      const scratch = await this.#ports.scratch.read(containerId)
      if (scratch !== undefined) all.push(scratch)
    }
    return all
  }
}

function listOf(attachment: ScratchAttachment): NetworkList {
  return parseNetworkList(attachment.listText, `scratch of ${attachment.name}`)
}

function runtimeOf(scratch: Scratch, attachment: ScratchAttachment): RuntimeAttachment {
  const { containerId, netns } = scratch
  const { ifName, args, capabilityArgs } = attachment
  return { containerId, netns, ifName, args, capabilityArgs }
}

function networksOf(
  containers: readonly Scratch[],
): readonly { readonly list: NetworkList; readonly pairs: readonly AttachmentId[] }[] {
  const byName = new Map<string, { list: NetworkList; pairs: AttachmentId[] }>()
  for (const { containerId, attachments } of containers)
    for (const attachment of attachments) {
      const list = listOf(attachment)
      const network = byName.get(list.name) ?? { list, pairs: [] }
      network.pairs.push({ containerId, ifName: attachment.ifName })
      byName.set(list.name, network)
    }
  return [...byName.values()]
}
