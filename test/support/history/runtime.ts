// The container runtimes of one history: calls of the plugin that come once, twice, in parallel, late or never.
import assert from 'node:assert/strict'
import type { Pod } from '../../../src/api/index.ts'
import type { Seeded } from '../../simulation/seeded.ts'
import type { PluginOutcome } from '../agent-kit.ts'
import type { ProcessRig, SandboxOf } from '../process-rig.ts'
import type { HistoryModel } from './model.ts'

/** CNI's code for what nobody foresaw. */
const unforeseen = 999
/** By then the processes are back, and what was cut off was asked again. */
const recoverMs = 10_000

export class Runtime {
  /** What must not be newly given. */
  forbidden: ReadonlySet<string> = new Set()
  readonly #rig: ProcessRig
  readonly #random: Seeded
  readonly #model: HistoryModel
  readonly #tell: (line: string) => void
  /** Sandboxes that have ended, whose DEL comes late. */
  readonly #late: SandboxOf[] = []
  readonly #opened = new Map<string, SandboxOf>()
  #count = 0

  constructor(rig: ProcessRig, random: Seeded, model: HistoryModel, tell: (line: string) => void) {
    this.#rig = rig
    this.#random = random
    this.#model = model
    this.#tell = tell
  }

  /** One thing that a runtime does with a pod. */
  async act(pod: Pod): Promise<void> {
    const live = this.#model.liveOf(pod)
    if (live === undefined) {
      await this.#add(pod)
      return
    }
    const roll = this.#random.below(10)
    if (roll < 3) await this.#check(live)
    else if (roll < 5) await this.#repeat(live)
    else if (roll < 7) await this.end(pod)
    else {
      await this.end(pod)
      await this.#add(pod)
    }
  }

  async addIfNone(pod: Pod): Promise<void> {
    if (this.#model.liveOf(pod) === undefined) await this.#add(pod)
  }

  /** A new sandbox: its ADD comes once, or twice at once, or is given up at once by a DEL. */
  async #add(pod: Pod): Promise<void> {
    const containerId = `${pod.metadata.name}-${(pod.metadata.uid ?? '').slice(0, 4)}-${this.#count++}`
    const sandbox = { pod, containerId }
    const roll = this.#random.below(10)
    const isGivenUp = roll === 0
    const isDoubled = roll === 1 || roll === 2
    await this.#rig.openSandbox(sandbox)
    this.#opened.set(containerId, sandbox)
    const calls = [this.#rig.call('ADD', sandbox)]
    if (isDoubled) calls.push(this.#rig.call('ADD', sandbox))
    if (isGivenUp) calls.push(this.#rig.call('DEL', sandbox))
    const [first, second] = await Promise.all(calls)
    assert.ok(first !== undefined)
    const how = isDoubled ? 'twice ' : isGivenUp ? 'given up ' : ''
    this.#tell(`ADD ${how}${containerId}: ${textOf(first)}${isDoubled ? `; ${textOf(second)}` : ''}`)
    if (isGivenUp) {
      if (first.exitCode === 0) this.#model.answeredUnheard(sandbox)
      this.#close(sandbox)
    }
    if (!isGivenUp && first.exitCode === 0) this.#took(sandbox, first)
    if (isDoubled && second?.exitCode === 0) this.#took(sandbox, second)
    const isFailed = first.exitCode !== 0 && (!isDoubled || second?.exitCode !== 0)
    if (isFailed && !isGivenUp) await this.#failed(sandbox, first)
    await this.#sendLateOf(pod)
  }

  #took(sandbox: SandboxOf, { json }: PluginOutcome): void {
    this.#model.acked(sandbox, json, this.forbidden)
  }

  async #failed(sandbox: SandboxOf, { json }: PluginOutcome): Promise<void> {
    this.#model.counts.failed++
    assert.notEqual(json['code'], unforeseen, `an unforeseen failure: ${JSON.stringify(json)}`)
    // Cut off in the middle, and its DEL came before the undo: a pod that lives keeps what was taken for it.
    if (!this.#rig.isUndisturbedSince(performance.now() - recoverMs)) this.#model.answeredUnheard(sandbox)
    await this.#end(sandbox, this.#random.chance(0.5))
  }

  async #check(live: SandboxOf & { readonly result: unknown }): Promise<void> {
    const sinceMs = performance.now() - recoverMs
    const outcome = await this.#rig.call('CHECK', live, live.result)
    this.#tell(`CHECK ${live.containerId}: ${textOf(outcome)}`)
    if (this.#rig.isUndisturbedSince(sinceMs))
      assert.equal(outcome.exitCode, 0, `CHECK of ${live.containerId}: ${outcome.stdout}`)
  }

  /** An ADD whose answer was lost is asked again: the same addresses. */
  async #repeat(live: SandboxOf & { readonly ips: readonly string[] }): Promise<void> {
    this.#model.counts.repeated++
    const outcome = await this.#rig.call('ADD', live)
    this.#tell(`ADD again ${live.containerId}: ${textOf(outcome)}`)
    if (outcome.exitCode === 0) this.#took(live, outcome)
    else {
      this.#model.ended(live)
      await this.#failed(live, outcome)
    }
  }

  /** The pod's sandbox ends: its DEL comes once, twice, late, or never. */
  async end(pod: Pod, isSent = false): Promise<void> {
    const live = this.#model.liveOf(pod)
    if (live === undefined) return
    this.#model.ended(live)
    await this.#end(live, isSent)
  }

  async #end(sandbox: SandboxOf, isSent: boolean): Promise<void> {
    const roll = isSent ? 9 : this.#random.below(10)
    const how = roll < 2 ? 'lost' : roll < 4 ? 'late' : roll < 6 ? 'twice' : 'once'
    this.#tell(`DEL ${sandbox.containerId} ${how}`)
    if (how === 'late') this.#late.push(sandbox)
    if (how === 'twice') await Promise.all([this.#del(sandbox), this.#del(sandbox)])
    if (how === 'once') await this.#del(sandbox)
    this.#close(sandbox)
  }

  /** A DEL never fails: what its agent does not take is kept in the node's spool. */
  async #del(sandbox: SandboxOf): Promise<void> {
    const { exitCode, stdout } = await this.#rig.call('DEL', sandbox)
    assert.equal(exitCode, 0, `DEL of ${sandbox.containerId}: ${stdout}`)
  }

  #close(sandbox: SandboxOf): void {
    if (this.#opened.delete(sandbox.containerId)) this.#rig.closeSandbox(sandbox)
  }

  async #sendLateOf(pod: Pod): Promise<void> {
    const due = this.#late.filter((one) => one.pod.metadata.name === pod.metadata.name)
    for (const sandbox of due) {
      this.#late.splice(this.#late.indexOf(sandbox), 1)
      this.#tell(`DEL ${sandbox.containerId} now`)
      await this.#del(sandbox)
    }
  }

  /** The calls that are still to come are made. */
  async sendLate(): Promise<void> {
    for (const sandbox of this.#late.splice(0)) await this.#del(sandbox)
  }
}

function textOf(outcome: PluginOutcome | undefined): string {
  const {
    ips = [],
    code,
    msg,
  } = (outcome?.json ?? {}) as {
    readonly ips?: readonly { readonly address: string }[]
    readonly code?: number
    readonly msg?: string
  }
  if (outcome?.exitCode === 0) return ips.map(({ address }) => address).join(' ') || 'ok'
  return `failed (${code}: ${msg})`
}
