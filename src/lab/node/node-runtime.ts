import { type Pod, resources } from '../../api/index.ts'
import { type Clock, type Logger, type Random, systemClock, systemRandom, toError } from '../../base/index.ts'
import type { KubeApi } from '../../kube/index.ts'
import type { NodePaths } from '../lab-paths.ts'
import type { PauseRunner } from '../pause.ts'
import { commandRunner } from './container-command.ts'
import { EventRecorder } from './event-recorder.ts'
import { type PodProgress, podStatus } from './pod-status.ts'
import { PodWorker, type PodWorkerPorts } from './pod-worker.ts'
import type { SandboxNetwork } from './sandbox-network.ts'
import { type SandboxRecord, SandboxStore } from './sandbox-store.ts'
import { Sandboxes } from './sandboxes.ts'
import { Slots } from './slots.ts'

export interface NodeRuntimeOptions {
  readonly api: KubeApi
  readonly node: string
  readonly hostIp: string
  readonly paths: NodePaths
  readonly pause: PauseRunner
  readonly network: SandboxNetwork
  /** How many sandboxes are made or removed at once. */
  readonly sandboxesAtOnce?: number
  readonly logger: Logger
  readonly clock?: Clock
  readonly random?: Random
}

const defaultSandboxesAtOnce = 10
const checkEveryMs = 5000
const writeBudgetMs = 30_000
const orphanRetryMs = 5000

/** The pod runtime of one node: what a kubelet and its container runtime are elsewhere. */
export class NodeRuntime {
  readonly #options: NodeRuntimeOptions
  readonly #clock: Clock
  readonly #store: SandboxStore
  readonly #sandboxes: Sandboxes
  readonly #slots: Slots
  readonly #events: EventRecorder
  readonly #logger: Logger
  readonly #workers = new Map<string, PodWorker>()
  readonly #running = new Set<Promise<void>>()
  #found = new Map<string, SandboxRecord[]>()

  constructor(options: NodeRuntimeOptions) {
    const { paths, network, pause, api, node } = options
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#logger = options.logger.with({ node })
    this.#store = new SandboxStore(paths.sandboxesDir)
    this.#sandboxes = new Sandboxes({ store: this.#store, network, pause, clock: this.#clock })
    this.#slots = new Slots(options.sandboxesAtOnce ?? defaultSandboxesAtOnce)
    this.#events = new EventRecorder({ api, host: node, clock: this.#clock, logger: this.#logger })
  }

  /** Reads what an earlier run left. To be awaited before `start()`. */
  async load(): Promise<void> {
    this.#found = Map.groupBy(await this.#store.list(), ({ podUid }) => podUid)
  }

  /**
   * Takes over the sandboxes of an earlier run, and removes those whose pods are gone.
   * @param pods all pods of this node, from a complete list
   */
  start(pods: readonly Pod[], signal: AbortSignal): void {
    for (const pod of pods) this.podChanged(undefined, pod, signal)
    const orphans = [...this.#found.values()].flat()
    this.#found = new Map()
    for (const orphan of orphans) this.#track(this.#removeOrphan(orphan, signal))
    this.#track(this.#watchSandboxes(signal))
  }

  /** A pod of this node came, changed or went. */
  podChanged(old: Pod | undefined, now: Pod | undefined, signal: AbortSignal): void {
    const uid = (now ?? old)?.metadata.uid
    if (uid === undefined || signal.aborted) return
    const worker = this.#workers.get(uid)
    if (worker !== undefined) worker.update(now)
    else if (now !== undefined) this.#startWorker(uid, now, signal)
  }

  #startWorker(uid: string, pod: Pod, signal: AbortSignal): void {
    const found = this.#found.get(uid) ?? []
    this.#found.delete(uid)
    const worker = new PodWorker(pod, found, this.#ports())
    this.#workers.set(uid, worker)
    this.#track(
      worker.run(signal).finally(() => {
        if (this.#workers.get(uid) === worker) this.#workers.delete(uid)
      }),
    )
  }

  #ports(): PodWorkerPorts {
    return {
      sandboxes: this.#sandboxes,
      slots: this.#slots,
      events: this.#events,
      runCommand: commandRunner(this.#options.pause),
      clock: this.#clock,
      random: this.#options.random ?? systemRandom,
      logger: this.#logger,
      writeStatus: (pod, progress, signal) => this.#writeStatus(pod, progress, signal),
      confirmDeletion: (pod, signal) => this.#confirmDeletion(pod, signal),
    }
  }

  async #writeStatus(pod: Pod, progress: PodProgress, signal: AbortSignal): Promise<void> {
    const now = new Date(this.#clock.nowMs()).toISOString().replace(/\.\d+Z$/, 'Z')
    const status = podStatus(pod, progress, this.#options.hostIp, now)
    const known =
      progress.kind === 'running' && progress.containerId === '' ? hostIps(this.#options.hostIp) : {}
    // The uid keeps a late write off a new pod of the same name.
    const body = { metadata: { uid: pod.metadata.uid }, status: { ...status, ...known } }
    const deadline = AbortSignal.any([signal, AbortSignal.timeout(writeBudgetMs)])
    try {
      const patch = { type: 'merge', body, subresource: 'status' } as const
      await this.#options.api.patch(resources.pod, refOf(pod), patch, deadline)
    } catch (error) {
      if (!isGone(error)) throw error
    }
  }

  async #confirmDeletion(pod: Pod, signal: AbortSignal): Promise<void> {
    const { uid } = pod.metadata
    const deadline = AbortSignal.any([signal, AbortSignal.timeout(writeBudgetMs)])
    try {
      const options = { gracePeriodSeconds: 0, ...(uid === undefined ? {} : { uid }) }
      await this.#options.api.delete(resources.pod, refOf(pod), options, deadline)
    } catch (error) {
      if (!isGone(error)) throw error
    }
  }

  async #removeOrphan(record: SandboxRecord, signal: AbortSignal): Promise<void> {
    const fields = { containerId: record.containerId, pod: record.name, namespace: record.namespace }
    this.#logger.info('sandbox of a pod that is gone', fields)
    while (!signal.aborted) {
      try {
        await this.#slots.run(() => this.#sandboxes.remove(record, signal), signal)
        return
      } catch (error) {
        if (signal.aborted) return
        this.#logger.warn('sandbox of a gone pod not removed', { ...fields, err: error })
        await this.#pause(orphanRetryMs, signal)
      }
    }
  }

  async #watchSandboxes(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#pause(checkEveryMs, signal)
      for (const worker of this.#workers.values()) worker.checkSandbox()
    }
  }

  async #pause(ms: number, signal: AbortSignal): Promise<void> {
    try {
      await this.#clock.sleep(ms, signal)
    } catch (error) {
      if (!signal.aborted) throw error
    }
  }

  #track(work: Promise<void>): void {
    const guarded = work
      .catch((error: unknown) => this.#logger.error('work on a pod ended', { err: toError(error) }))
      .finally(() => this.#running.delete(guarded))
    this.#running.add(guarded)
  }

  /** Resolves when all work has ended, after the signal that it was given was aborted. */
  async close(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running)
  }
}

function hostIps(hostIp: string): object {
  return { podIP: hostIp, podIPs: [{ ip: hostIp }] }
}

function refOf(pod: Pod): { readonly name: string; readonly namespace: string } {
  return { name: pod.metadata.name, namespace: pod.metadata.namespace ?? 'default' }
}

/** 404: gone. 409: another pod has the name by now. */
function isGone(error: unknown): boolean {
  return error instanceof Error && 'status' in error && (error.status === 404 || error.status === 409)
}
