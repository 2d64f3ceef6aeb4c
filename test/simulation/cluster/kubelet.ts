import { type Pod, resources } from '../../../src/api/index.ts'
import type { Scheduler } from '../scheduler.ts'
import type { AgentProcess, NodeParts, PluginCall } from './agent-process.ts'
import type { ApiServer } from './api-server.ts'
import type { Model } from './model.ts'
import { trace } from './trace.ts'

const patienceMs = { ADD: 100_000, CHECK: 100_000, DEL: 5_000 }

interface Sandbox {
  readonly id: string
  readonly netns: string
  readonly pod: PluginCall['pod']
  readonly nics: readonly string[]
}

/** What a kubelet works with. `isQuiet` ends the mischief of runtimes. */
export interface KubeletParts extends NodeParts {
  readonly scheduler: Scheduler
  readonly server: ApiServer
  readonly model: Model
  /** Identities of the network namespaces that live, by path. */
  readonly netns: Map<string, string>
  readonly agent: () => AgentProcess
  readonly isQuiet: () => boolean
}

/** Kubelet and runtime of one machine until it is switched off: sandboxes of its pods, and the calls that they need. */
export class Kubelet {
  readonly actor: string
  readonly #parts: KubeletParts
  readonly #pods = new Map<string, Sandbox | undefined>()
  /** Sandboxes that are being made. */
  readonly #coming = new Set<Sandbox>()
  #sandboxes = 0

  constructor(actor: string, parts: KubeletParts) {
    this.actor = actor
    this.#parts = parts
  }

  /** Looks for pods that are new here. */
  sync(): void {
    const { server, node } = this.#parts
    for (const pod of server.list<Pod>(resources.pod, { fieldSelector: `spec.nodeName=${node}` })) {
      const { uid = '' } = pod.metadata
      if (this.#pods.has(uid)) continue
      this.#pods.set(uid, undefined)
      void this.#live(pod, uid)
    }
  }

  /** Attachments of all sandboxes that live, as a runtime lists them for GC. */
  attachments(): readonly { containerId: string; ifName: string }[] {
    return [...this.#pods.values(), ...this.#coming].flatMap(
      (sandbox) => sandbox?.nics.map((ifName) => ({ containerId: sandbox.id, ifName })) ?? [],
    )
  }

  /** DELs of sandboxes that ended with the machine: a runtime that starts again sends them, or not. */
  leftovers(): readonly PluginCall[] {
    const sandboxes = [...this.#pods.values(), ...this.#coming]
    return sandboxes.flatMap((one) => (one === undefined ? [] : callsOf('DEL', one)))
  }

  async #live(pod: Pod, uid: string): Promise<void> {
    const { scheduler, server, isQuiet } = this.#parts
    const { namespace = '', name } = pod.metadata
    let tries = 0
    for (;;) {
      const pauseMs = tries === 0 ? 100 : 1_000 + scheduler.below(2_000)
      await scheduler.sleep(this.actor, isQuiet() ? 5 * pauseMs : pauseMs)
      const sandbox = this.#pods.get(uid)
      const now = server.get<Pod>(resources.pod, { namespace, name })
      const isOver = now?.metadata.uid !== uid || now.metadata.deletionTimestamp !== undefined
      if (isOver) {
        await scheduler.sleep(this.actor, scheduler.below(4_000))
        if (sandbox !== undefined) await this.#tearDown(sandbox)
        this.#pods.delete(uid)
        const last = server.get<Pod>(resources.pod, { namespace, name })
        if (last?.metadata.uid === uid) server.delete(resources.pod, { namespace, name })
        return
      }
      if (sandbox === undefined) {
        tries++
        await this.#setUp(pod, uid)
      } else if (!isQuiet()) await this.#disturb(sandbox, uid)
      else if (scheduler.chance(0.2)) await this.#check(sandbox)
    }
  }

  async #setUp(pod: Pod, uid: string): Promise<void> {
    const { model, netns } = this.#parts
    const { namespace = '', name } = pod.metadata
    const id = `${this.actor}-${++this.#sandboxes}-${uid}`
    const nics = model.nicsOf(uid)
    const sandbox: Sandbox = { id, netns: `/run/netns/${id}`, pod: { namespace, name, uid }, nics }
    netns.set(sandbox.netns, `ns-${id}`)
    this.#coming.add(sandbox)
    if (await this.#addAll(sandbox)) this.#pods.set(uid, sandbox)
    else await this.#tearDown(sandbox)
    this.#coming.delete(sandbox)
  }

  async #addAll(sandbox: Sandbox): Promise<boolean> {
    const { model, scheduler, isQuiet } = this.#parts
    const isHasty = !isQuiet() && scheduler.chance(0.15)
    for (const call of callsOf('ADD', sandbox)) {
      const limitMs = isHasty ? 500 + scheduler.below(6_000) : patienceMs.ADD
      let ips = await this.#add(call, limitMs)
      if (ips !== undefined) model.acked(call, this.#parts.node, ips)
      if (ips !== undefined && !isQuiet() && scheduler.chance(0.25)) {
        // The same once more, of an attachment that nobody uses until it is answered: when it fails, it was given back.
        model.paused(call)
        const again = await this.#add(call, limitMs)
        if (again !== undefined) model.repeated(call, this.#parts.node, { first: ips, again })
        ips = again
      }
      if (ips === undefined) return false
    }
    return true
  }

  async #add(call: PluginCall, limitMs: number): Promise<readonly string[] | undefined> {
    try {
      return await this.#call(call, limitMs)
    } catch (error) {
      this.#parts.model.failed(call, error)
      return undefined
    }
  }

  async #disturb(sandbox: Sandbox, uid: string): Promise<void> {
    const { scheduler, model, netns } = this.#parts
    const roll = scheduler.below(12)
    if (roll === 0) await this.#check(sandbox)
    else if (roll === 1) {
      await this.#tearDown(sandbox)
      this.#pods.set(uid, undefined)
    } else if (roll === 2) {
      // The sandbox died by itself; its DEL comes when another lives already.
      for (const one of callsOf('DEL', sandbox)) {
        model.ended(one)
        this.#later(one)
      }
      netns.delete(sandbox.netns)
      this.#pods.set(uid, undefined)
    } else if (roll === 3) {
      const agent = this.#parts.agent()
      scheduler.at(agent.actor, () => void agent.gc(this.attachments()).catch(() => undefined))
    }
  }

  async #check(sandbox: Sandbox): Promise<void> {
    const { model, isQuiet } = this.#parts
    const [call] = callsOf('CHECK', sandbox)
    if (call === undefined) return
    const wasQuiet = isQuiet()
    try {
      await this.#call({ ...call, ips: model.ipsOf(call) }, patienceMs.CHECK)
    } catch (error) {
      model.checkFailed(call, error, wasQuiet)
    }
  }

  /** DEL of all NICs in any order, then the namespace goes. */
  async #tearDown(sandbox: Sandbox): Promise<void> {
    const { scheduler, model, netns } = this.#parts
    const calls = callsOf('DEL', sandbox)
    if (scheduler.chance(0.3)) {
      netns.delete(sandbox.netns)
      for (const call of calls) model.ended(call)
    }
    for (const call of scheduler.chance(0.5) ? calls : calls.toReversed()) {
      model.ended(call)
      for (;;) {
        const isDone = await this.#call(call, patienceMs.DEL).then(
          () => true,
          () => false,
        )
        if (isDone) break
        await scheduler.sleep(this.actor, 1_000)
      }
      if (!this.#parts.isQuiet() && scheduler.chance(0.2)) this.#later(call)
    }
    netns.delete(sandbox.netns)
  }

  /** A DEL that comes late, and again. */
  #later(call: PluginCall): void {
    const { scheduler } = this.#parts
    scheduler.after(this.actor, scheduler.below(30_000), () => {
      this.#call(call, patienceMs.DEL).catch(() => this.#later(call))
    })
  }

  /** By the pipe: when no agent answers in time a DEL is spooled, and counts as done. */
  #call(call: PluginCall, limitMs: number): Promise<readonly string[]> {
    const { scheduler, spool, agent: find } = this.#parts
    const agent = find()
    const tell = (what: string): void => {
      trace(
        scheduler.nowMs,
        () => `${call.command} ${call.containerId} ${call.ifName} ${agent.actor} ${what}`,
      )
    }
    tell('begins')
    return new Promise((resolve, reject) => {
      const answer = (run: () => void) => scheduler.at(this.actor, run)
      const isDel = call.command === 'DEL'
      const noAnswer = () => {
        tell('has no answer')
        if (isDel) spool.push(call)
        if (isDel) resolve([])
        else reject(new Error('no answer of the agent'))
      }
      if (!agent.isServing) return answer(noAnswer)
      const hangUp = new AbortController()
      const cancel = scheduler.after(this.actor, limitMs, () => {
        scheduler.at(agent.actor, () => hangUp.abort(new DOMException('the caller is gone', 'AbortError')))
        noAnswer()
      })
      scheduler.at(agent.actor, () => {
        agent.call(call, hangUp.signal).then(
          (ips) =>
            answer(() => {
              cancel()
              tell(`gets ${ips.join(' ')}`)
              resolve(ips)
            }),
          (error: unknown) =>
            answer(() => {
              cancel()
              tell(`fails: ${String(error)}`)
              if (isDel && agent.isCrashed) noAnswer()
              else reject(error)
            }),
        )
      })
    })
  }
}

function callsOf(command: PluginCall['command'], { id, netns, pod, nics }: Sandbox): readonly PluginCall[] {
  return nics.map((ifName) => ({ command, containerId: id, ifName, netns, pod }))
}
