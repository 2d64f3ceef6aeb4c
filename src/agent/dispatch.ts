import { type Logger, OperationError, StepTimes, stringifyJson, toError } from '../base/index.ts'
import {
  CniError,
  type CniRequest,
  cniCodes,
  cniErrorObject,
  parseRequest,
  supportedVersions,
} from '../cni/index.ts'
import type { IpamPlugin } from './ipam/ipam-plugin.ts'
import type { MetaPlugin } from './meta/meta-plugin.ts'
import { type PluginName, pluginNames } from './plugin-installer.ts'
import type { PluginAnswer, PluginRequest } from './socket/frame.ts'

/** What answers the calls. */
export interface DispatchTargets {
  readonly ipam: IpamPlugin
  readonly meta: MetaPlugin
  readonly logger: Logger
  /** Why the agent cannot serve ADD now; undefined when it can. */
  notReady(): string | undefined
}

/** How many calls of one plugin are worked on, and how many may wait. */
const limits: Readonly<Record<PluginName, { readonly atOnce: number; readonly waiting: number }>> = {
  // A chain of the meta-plugin starts processes, and each of them calls the IPAM plugin.
  'spiderpool-meta': { atOnce: 16, waiting: 1500 },
  spiderpool: { atOnce: 128, waiting: 1500 },
  coordinator: { atOnce: 16, waiting: 500 },
  ifacer: { atOnce: 16, waiting: 500 },
}

/** Gives plugin calls to their plugins and puts what comes back into an answer. It never rejects. */
export class Dispatcher {
  readonly #targets: DispatchTargets
  readonly #gates: ReadonlyMap<string, { readonly deletions: Gate; readonly others: Gate }>

  constructor(targets: DispatchTargets) {
    this.#targets = targets
    // What goes has places of its own: it must not wait for what cannot come yet.
    this.#gates = new Map(
      pluginNames.map((name) => {
        return [name, { deletions: new Gate(name, limits[name]), others: new Gate(name, limits[name]) }]
      }),
    )
  }

  async answer(request: PluginRequest, signal: AbortSignal): Promise<PluginAnswer> {
    const { logger } = this.#targets
    const steps = new StepTimes()
    const { CNI_COMMAND: command, CNI_CONTAINERID: containerId, CNI_IFNAME: ifName } = request.env
    const fields = { plugin: request.plugin, command, containerId, ifName }
    try {
      const stdout = await this.#run(request, steps, signal)
      const level = command === 'ADD' || command === 'DEL' ? 'info' : 'debug'
      logger[level]('plugin call done', { ...fields, ...steps.fields() })
      return { exitCode: 0, stdout }
    } catch (error) {
      const object = cniErrorObject(error)
      const level = error instanceof OperationError || object.code !== cniCodes.internal ? 'warn' : 'error'
      logger[level]('plugin call failed', {
        ...fields,
        ...steps.fields(),
        code: object.code,
        err: toError(error),
      })
      return { exitCode: 1, stdout: `${JSON.stringify(object)}\n` }
    }
  }

  async #run(request: PluginRequest, steps: StepTimes, signal: AbortSignal): Promise<string> {
    const gates = this.#gates.get(request.plugin)
    if (gates === undefined)
      throw new CniError({
        cniCode: cniCodes.unsupportedField,
        slug: 'unknown-plugin',
        message: `Cannot serve plugin "${request.plugin.slice(0, 100)}": the agent knows ${pluginNames.join(', ')}`,
        hint: 'start the plugin under one of these names',
      })
    const parsed = parseRequest(request.env, request.stdin)
    if (parsed.command === 'VERSION') return `${JSON.stringify({ cniVersion: '1.1.0', supportedVersions })}\n`
    // Readiness is asked for often, and within 2 s: it does not queue.
    if (parsed.command === 'STATUS') return this.#call(parsed, { plugin: request.plugin, steps }, signal)
    // DEL goes on when its caller is gone: the pipe has spooled it by then, and a doubled DEL is harmless.
    const isDeletion = parsed.command === 'DEL'
    const until = isDeletion ? new AbortController().signal : signal
    return (isDeletion ? gates.deletions : gates.others).run(until, () => {
      steps.end('queue')
      return this.#call(parsed, { plugin: request.plugin, steps }, until)
    })
  }

  async #call(
    request: CniRequest,
    { plugin, steps }: { readonly plugin: string; readonly steps: StepTimes },
    signal: AbortSignal,
  ): Promise<string> {
    if (plugin === 'coordinator' || plugin === 'ifacer') {
      if (request.command === 'DEL') return '' // nothing was set up, and a pod must be able to go
      throw laterRelease(plugin)
    }
    const { ipam, meta, logger } = this.#targets
    const target = plugin === 'spiderpool' ? ipam : meta
    switch (request.command) {
      case 'ADD':
        return `${stringifyJson(await target.add(request, steps, signal))}\n`
      case 'DEL':
        if (request.problem !== undefined)
          logger.debug('DEL came without a configuration', { err: request.problem })
        await target.del(request, signal)
        return ''
      case 'CHECK':
        await target.check(request, signal)
        return ''
      case 'GC':
        await target.gc(request, signal)
        return ''
      case 'STATUS':
        this.#requireReady()
        if (plugin !== 'spiderpool') await meta.status(request, signal)
        return ''
      default:
        return ''
    }
  }

  #requireReady(): void {
    const problem = this.#targets.notReady()
    if (problem === undefined) return
    throw new CniError({
      cniCode: cniCodes.notAvailable,
      slug: 'not-ready',
      message: `Cannot serve ADD: ${problem}`,
      hint: 'see that the controller runs and that the agent may reach it',
    })
  }
}

function laterRelease(plugin: string): CniError {
  return new CniError({
    cniCode: cniCodes.unsupportedField,
    slug: 'later-release',
    message: `Cannot run plugin "${plugin}": it comes in a later release`,
    hint: `take the plugin with type "${plugin}" out of the network (spec.enableCoordinator: false; one master, no VLAN)`,
  })
}

/** Lets so many through at once; the others wait in order, and too many are turned away. */
class Gate {
  readonly #name: string
  readonly #limit: { readonly atOnce: number; readonly waiting: number }
  readonly #waiting: (() => void)[] = []
  #running = 0

  constructor(name: string, limit: { readonly atOnce: number; readonly waiting: number }) {
    this.#name = name
    this.#limit = limit
  }

  async run<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    if (this.#running >= this.#limit.atOnce) await this.#wait(signal)
    else this.#running++
    try {
      return await work()
    } finally {
      const next = this.#waiting.shift()
      if (next === undefined) this.#running--
      else next() // its place goes on to the next one
    }
  }

  async #wait(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if (this.#waiting.length >= this.#limit.waiting)
      throw new CniError({
        cniCode: cniCodes.tryAgain,
        slug: 'busy',
        message: `Cannot serve "${this.#name}": ${this.#waiting.length} calls are waiting`,
        hint: 'try again later',
      })
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const abort = (): void => {
      const at = this.#waiting.indexOf(resolve)
      if (at < 0) return
      this.#waiting.splice(at, 1)
      reject(signal.reason instanceof Error ? signal.reason : new DOMException('aborted', 'AbortError'))
    }
    this.#waiting.push(resolve)
    signal.addEventListener('abort', abort, { once: true })
    await promise.finally(() => {
      signal.removeEventListener('abort', abort)
    })
  }
}
