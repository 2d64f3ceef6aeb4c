import type { Pod } from '../../api/index.ts'
import { Backoff, type Clock, type Logger, OperationError, type Random, toError } from '../../base/index.ts'
import { type CommandRun, commandOf, type RunCommand } from './container-command.ts'
import type { EventRecorder } from './event-recorder.ts'
import { lacksImage, type PodProgress } from './pod-status.ts'
import type { SandboxRecord } from './sandbox-store.ts'
import { isPauseAlive, isReady, type ReadySandbox, type Sandboxes } from './sandboxes.ts'
import type { Slots } from './slots.ts'
import { WakeUp } from './wake-up.ts'

/** What a worker needs of its node. */
export interface PodWorkerPorts {
  readonly sandboxes: Sandboxes
  readonly slots: Slots
  readonly events: EventRecorder
  readonly runCommand: RunCommand
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  /** Writes the status of this very pod; a pod that is gone or replaced is no error. */
  readonly writeStatus: (pod: Pod, progress: PodProgress, signal: AbortSignal) => Promise<void>
  /** Tells the API server that nothing of the pod is left. */
  readonly confirmDeletion: (pod: Pod, signal: AbortSignal) => Promise<void>
}

const retryBackoff = { firstMs: 1000, capMs: 8000 }
const restartBackoff = { firstMs: 1000, capMs: 60_000 }
/** A pod that starts faster shows no ContainerCreating: that saves a write each. */
const slowStartMs = 1500

/** Brings one pod to life and to its end. It knows the pod by its uid: another pod of the same name has its own worker. */
export class PodWorker {
  readonly #ports: PodWorkerPorts
  readonly #wake = new WakeUp()
  readonly #retry: Backoff
  readonly #restart: Backoff
  #pod: Pod | undefined
  #last: Pod
  #leftovers: SandboxRecord[]
  #sandbox: ReadySandbox | undefined
  #command: CommandRun | undefined
  #restartCount = 0
  #reported: string | undefined
  #hasEnded = false

  /** @param found sandboxes of this pod from an earlier run of the lab */
  constructor(pod: Pod, found: readonly SandboxRecord[], ports: PodWorkerPorts) {
    this.#pod = pod
    this.#last = pod
    this.#ports = ports
    this.#retry = new Backoff(retryBackoff, ports.random)
    this.#restart = new Backoff(restartBackoff, ports.random)
    this.#hasEnded = isTerminal(pod)
    this.#sandbox = this.#hasEnded ? undefined : found.find(isReady)
    this.#leftovers = found.filter((record) => record !== this.#sandbox)
  }

  /** The pod's newest state; undefined when it is gone from the API server. */
  update(pod: Pod | undefined): void {
    this.#pod = pod
    if (pod !== undefined) this.#last = pod
    this.#wake.now()
  }

  /** Looks whether the pause process is still there. */
  checkSandbox(): void {
    if (this.#sandbox !== undefined && !isPauseAlive(this.#sandbox)) this.#wake.now()
  }

  /** The sandboxes that are this pod's now. */
  records(): readonly SandboxRecord[] {
    return this.#sandbox === undefined ? this.#leftovers : [...this.#leftovers, this.#sandbox]
  }

  /** Works until the pod is gone and nothing of it is left. Ends early, leaving all as it is, when aborted. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const wasEnding = this.#isEnding()
      try {
        if (await this.#step(signal)) return
        this.#retry.reset()
        await this.#wake.wait(undefined, signal)
      } catch (error) {
        if (signal.aborted) return
        await this.#reportFailure(toError(error), signal)
        await this.#backOff(this.#retry.nextMs(), wasEnding, signal)
      }
    }
  }

  /** A change of the pod cuts it short only when it is to end: our own status and annotations of others come as changes too. */
  async #backOff(ms: number, wasEnding: boolean, signal: AbortSignal): Promise<void> {
    const endMs = this.#ports.clock.nowMs() + ms
    for (;;) {
      const leftMs = endMs - this.#ports.clock.nowMs()
      if (leftMs <= 0 || signal.aborted || this.#isEnding() !== wasEnding) return
      await this.#wake.wait(leftMs, signal)
    }
  }

  #isEnding(): boolean {
    return this.#pod === undefined || this.#pod.metadata.deletionTimestamp !== undefined
  }

  /** Brings the pod to where it should be. @returns true when nothing is left to do for ever */
  async #step(signal: AbortSignal): Promise<boolean> {
    const pod = this.#pod
    if (pod === undefined || pod.metadata.deletionTimestamp !== undefined) {
      await this.#terminate(signal)
      if (pod !== undefined) await this.#ports.confirmDeletion(pod, signal)
      // With finalizers of others the object stays a while: its next change, or its going, comes to a worker again.
      return true
    }
    if (this.#hasEnded || isTerminal(pod)) {
      await this.#terminate(signal)
      return false
    }
    if (pod.spec?.hostNetwork === true) {
      if (pod.status?.phase !== 'Running') await this.#reportRunning(pod, [], '', signal)
      return false
    }
    await this.#ensureSandbox(pod, signal)
    return false
  }

  async #terminate(signal: AbortSignal): Promise<void> {
    this.#command?.stop()
    this.#command = undefined
    if (this.#sandbox !== undefined) this.#leftovers.push(this.#sandbox)
    this.#sandbox = undefined
    await this.#removeLeftovers(signal)
  }

  async #removeLeftovers(signal: AbortSignal): Promise<void> {
    for (const record of [...this.#leftovers]) {
      await this.#ports.slots.run(() => this.#ports.sandboxes.remove(record, signal), signal)
      this.#leftovers = this.#leftovers.filter((other) => other !== record)
    }
  }

  async #ensureSandbox(pod: Pod, signal: AbortSignal): Promise<void> {
    if (this.#sandbox !== undefined && !isPauseAlive(this.#sandbox)) {
      const message = 'Pod sandbox changed, it will be killed and re-created'
      await this.#ports.events.record(pod, { type: 'Normal', reason: 'SandboxChanged', message }, signal)
      await this.#terminate(signal)
    }
    await this.#removeLeftovers(signal)
    if (this.#sandbox === undefined) {
      this.#sandbox = await this.#startSandbox(pod, signal)
      this.#startCommand(pod, this.#sandbox, signal)
      await this.#reportRunning(pod, this.#sandbox.ips, this.#sandbox.containerId, signal)
    } else if (pod.status?.phase !== 'Running' || pod.status.podIP !== this.#sandbox.ips[0]) {
      if (this.#command === undefined) this.#startCommand(pod, this.#sandbox, signal)
      await this.#reportRunning(pod, this.#sandbox.ips, this.#sandbox.containerId, signal)
    }
  }

  async #startSandbox(pod: Pod, signal: AbortSignal): Promise<ReadySandbox> {
    const isShown = pod.status?.containerStatuses !== undefined
    await using _slow = this.#showCreatingLater(pod, isShown, signal)
    return await this.#ports.slots.run(async () => {
      // While it waited for its slot the pod may have been deleted: an address must not be taken for nothing.
      if (this.#pod === undefined || this.#pod.metadata.deletionTimestamp !== undefined)
        throw new PodChangedError()
      let record = await this.#ports.sandboxes.prepare(pod)
      this.#leftovers.push(record)
      const onChange = (changed: SandboxRecord): void => {
        this.#leftovers = this.#leftovers.map((other) => (other === record ? changed : other))
        record = changed
      }
      const ready = await this.#ports.sandboxes.start(record, onChange, signal)
      this.#leftovers = this.#leftovers.filter((other) => other !== record)
      return ready
    }, signal)
  }

  /** Its end waits for a write that is under way, so that it cannot come after that of the running pod. */
  #showCreatingLater(pod: Pod, isShown: boolean, signal: AbortSignal): AsyncDisposable {
    let write: Promise<void> | undefined
    const timer = setTimeout(() => {
      if (isShown || this.#pod === undefined) return
      write = this.#ports.writeStatus(pod, { kind: 'creating' }, signal).catch((error: unknown) => {
        this.#ports.logger.warn('status of a starting pod not written', { err: error })
      })
    }, slowStartMs)
    return {
      [Symbol.asyncDispose]: async () => {
        clearTimeout(timer)
        await write
      },
    }
  }

  #startCommand(pod: Pod, sandbox: ReadySandbox, signal: AbortSignal): void {
    const command = lacksImage(pod) ? undefined : commandOf(pod)
    if (command === undefined) return
    const startedAt = this.#now()
    const run = this.#ports.runCommand(sandbox.netnsPath, command)
    this.#command = run
    const settle = async (): Promise<void> => {
      const exitCode = await run.exitCode
      if (this.#command !== run || signal.aborted) return
      this.#command = undefined
      await this.#commandEnded(pod, sandbox, { exitCode, startedAt }, signal)
    }
    settle().catch((error: unknown) => {
      this.#ports.logger.error('end of a command not handled', { pod: pod.metadata.name, err: error })
    })
  }

  async #commandEnded(
    pod: Pod,
    sandbox: ReadySandbox,
    end: { readonly exitCode: number; readonly startedAt: string },
    signal: AbortSignal,
  ): Promise<void> {
    const policy = pod.spec?.restartPolicy ?? 'Always'
    if (policy === 'Always' || (policy === 'OnFailure' && end.exitCode !== 0)) {
      await this.#ports.clock.sleep(this.#restart.nextMs(), signal)
      if (this.#sandbox !== sandbox || this.#pod === undefined) return
      this.#restartCount++
      this.#startCommand(pod, sandbox, signal)
      await this.#reportRunning(this.#last, sandbox.ips, sandbox.containerId, signal)
      return
    }
    const { ips, containerId } = sandbox
    const progress = { kind: 'ended' as const, ips, containerId, ...end, finishedAt: this.#now() }
    await this.#ports.writeStatus(this.#last, progress, signal)
    this.#hasEnded = true
    this.#wake.now()
  }

  /** Once for each sandbox and restart: the cache may show the state before our own write for a while. */
  async #reportRunning(
    pod: Pod,
    ips: readonly string[],
    containerId: string,
    signal: AbortSignal,
  ): Promise<void> {
    const restartCount = this.#restartCount
    const report = `${containerId} ${restartCount}`
    if (this.#reported === report) return
    const startedAt = this.#now()
    const progress = lacksImage(pod)
      ? { kind: 'without-image' as const, ips }
      : { kind: 'running' as const, ips, containerId, restartCount, startedAt }
    await this.#ports.writeStatus(pod, progress, signal)
    this.#reported = report
  }

  async #reportFailure(error: Error, signal: AbortSignal): Promise<void> {
    if (error instanceof PodChangedError) {
      this.#retry.reset()
      return
    }
    const pod = this.#last
    const fields = { pod: pod.metadata.name, namespace: pod.metadata.namespace, uid: pod.metadata.uid }
    this.#ports.logger.warn('pod not brought to its state', { ...fields, err: error })
    const isEnding = this.#isEnding()
    const reason = isEnding ? 'FailedKillPod' : 'FailedCreatePodSandBox'
    const action = isEnding ? 'stop pod sandbox' : 'create pod sandbox'
    const message = `Failed to ${action}: ${error.message}${hintOf(error)}`
    await this.#ports.events.record(pod, { type: 'Warning', reason, message }, signal)
    if (isEnding || pod.status?.containerStatuses !== undefined) return
    try {
      await this.#ports.writeStatus(pod, { kind: 'creating' }, signal)
    } catch (cause) {
      this.#ports.logger.warn('status of a waiting pod not written', { ...fields, err: cause })
    }
  }

  #now(): string {
    return new Date(this.#ports.clock.nowMs()).toISOString().replace(/\.\d+Z$/, 'Z')
  }
}

/** The pod was deleted while its sandbox waited for a slot. */
class PodChangedError extends OperationError {
  override readonly code = 'LAB_POD_CHANGED'
  override readonly retry = 'now'
  constructor() {
    super('Cannot start the sandbox: its pod is being deleted', '')
  }
}

function hintOf(error: Error): string {
  return error instanceof OperationError && error.hint !== '' ? ` (${error.hint})` : ''
}

function isTerminal(pod: Pod): boolean {
  return pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed'
}
