import type { Allocator } from '../../../src/agent/index.ts'
import type {
  AllocateRequest,
  AllocateResponse,
  CheckRequest,
  NodeReport,
  ReleaseRequest,
} from '../../../src/api/index.ts'
import { toRpcFailure } from '../../../src/controller/allocator/errors.ts'
import type { Caller } from '../../../src/controller/trust/authenticate.ts'
import { AllocatorError, type AllocatorHandlers, NotLeaderError } from '../../../src/rpc/index.ts'
import type { Scheduler } from '../scheduler.ts'
import type { ControllerProcess } from './controller-process.ts'
import type { Faults } from './faults.ts'
import { trace } from './trace.ts'

const tryAgain = { code: 11, msg: 'Cannot reach the allocator', details: 'allocator-unreachable: wait' }
const tryMs = 15_000
const retryMs = 500

type Handle<T> = (handlers: AllocatorHandlers<Caller>, caller: Caller, signal: AbortSignal) => Promise<T>

/** An agent's calls to whoever leads: repeated until they are answered or their time is over, as the real client does. */
export class AllocatorLink implements Allocator {
  readonly #scheduler: Scheduler
  readonly #actor: string
  readonly #caller: Caller
  readonly #faults: Faults
  readonly #controllers: () => readonly ControllerProcess[]
  readonly #hasEnded: (containerId: string) => boolean

  constructor(
    agent: { readonly actor: string; readonly node: string },
    world: {
      readonly scheduler: Scheduler
      readonly faults: Faults
      readonly controllers: () => readonly ControllerProcess[]
      readonly hasEnded: (containerId: string) => boolean
    },
  ) {
    this.#actor = agent.actor
    this.#caller = { node: agent.node, username: 'agent' }
    this.#scheduler = world.scheduler
    this.#faults = world.faults
    this.#controllers = world.controllers
    this.#hasEnded = world.hasEnded
  }

  allocate(request: AllocateRequest, signal: AbortSignal): Promise<AllocateResponse> {
    return this.#call(async (handlers, caller, s) => {
      // The connection closed with its caller: an ADD does not outlive its sandbox on the wire.
      if (this.#hasEnded(request.containerId)) throw new NotLeaderError(undefined)
      return handlers.allocate(caller, request, s)
    }, signal)
  }
  async release(request: ReleaseRequest, signal: AbortSignal): Promise<void> {
    await this.#call(async (handlers, caller, s) => handlers.release(caller, request, s), signal)
  }
  async check(request: CheckRequest, signal: AbortSignal): Promise<void> {
    await this.#call(async (handlers, caller, s) => handlers.check(caller, request, s), signal)
  }
  nodeReport(report: NodeReport, signal: AbortSignal): ReturnType<Allocator['nodeReport']> {
    return this.#call(async (handlers, caller, s) => handlers.nodeReport(caller, report, s), signal)
  }

  async #call<T>(handle: Handle<T>, signal: AbortSignal): Promise<T> {
    for (;;) {
      signal.throwIfAborted()
      try {
        return await this.#try(handle, signal)
      } catch (error) {
        const isFinal = error instanceof AllocatorError && error.cniCode !== 11
        if (isFinal) throw error
        if (signal.aborted) throw new AllocatorError(tryAgain)
      }
      await this.#scheduler.sleep(this.#actor, retryMs)
    }
  }

  /** Mostly the newest leader; now and then a replica that leads no more, or does not know it. */
  #target(): ControllerProcess | undefined {
    const living = this.#controllers().filter(({ isCrashed }) => !isCrashed)
    const serving = living.filter(({ isServing }) => isServing)
    serving.sort((a, b) => (a.lease?.number ?? 0) - (b.lease?.number ?? 0))
    return this.#scheduler.chance(0.8) ? (serving.at(-1) ?? living[0]) : this.#scheduler.pick(living)
  }

  #try<T>(handle: Handle<T>, signal: AbortSignal): Promise<T> {
    const scheduler = this.#scheduler
    const target = this.#target()
    const { lost, unanswered, late, doubled } = this.#faults
    const roll = scheduler.next()
    trace(scheduler.nowMs, () => `${this.#actor} asks ${target?.actor} of term ${target?.lease?.number}`)
    const hangUp = new AbortController()
    return new Promise<T>((resolve, reject) => {
      const answer = (run: () => void) => scheduler.at(this.#actor, run)
      const fail = () => reject(new AllocatorError(tryAgain))
      const giveUp = () => {
        fail()
        // The controller sees the connection close, some time later.
        if (target !== undefined) scheduler.at(target.actor, () => hangUp.abort())
      }
      const cancel = scheduler.after(this.#actor, tryMs, giveUp)
      signal.addEventListener('abort', giveUp, { once: true })
      if (target === undefined || roll < lost + late) answer(fail)
      if (target === undefined || roll < lost) return
      const arrive = () => {
        scheduler.at(target.actor, () => {
          const done = (run: () => void) => {
            if (roll < lost + late) return
            answer(() => {
              cancel()
              signal.removeEventListener('abort', giveUp)
              if (roll < lost + late + unanswered) fail()
              else run()
            })
          }
          handle(target.gate.handlers(), this.#caller, hangUp.signal).then(
            (value) => done(() => resolve(value)),
            (error: unknown) => done(() => reject(asSeenByAgent(error))),
          )
        })
      }
      scheduler.at('network', arrive)
      if (scheduler.chance(doubled)) scheduler.at('network', arrive)
    })
  }
}

function asSeenByAgent(error: unknown): AllocatorError {
  return new AllocatorError(error instanceof NotLeaderError ? tryAgain : toRpcFailure(error))
}
