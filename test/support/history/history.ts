// One random history of pods and sandboxes on an installation of real processes: people, runtimes, and what breaks.
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { annotationKeys, type Pod, resources } from '../../../src/api/index.ts'
import { ApiError } from '../../../src/kube/index.ts'
import { Seeded } from '../../simulation/seeded.ts'
import type { ProcessRig } from '../process-rig.ts'
import { eventually } from '../workload-kit.ts'
import { HistoryModel, ordinalOf } from './model.ts'
import { HistoryPools } from './pools.ts'
import { Runtime } from './runtime.ts'

const never = new AbortController().signal
const namespace = 'default'
const maxReplicas = 3
/** Reports of nodes come every 7 s, and the leader looks again every 5 s; one that was killed in between does it all anew. */
const quietWithinMs = 60_000

export class History {
  /** What was done, for the message of a failure. */
  readonly trace: string[] = []
  readonly model = new HistoryModel()
  readonly #seed: number
  readonly #random: Seeded
  readonly #rig: ProcessRig
  readonly #pools: HistoryPools
  readonly #runtime: Runtime
  #pods: readonly Pod[] = []
  #replicas = 0
  #isSetMade = false
  #podCount = 0

  constructor(rig: ProcessRig, seed: number) {
    this.#seed = seed
    this.#random = new Seeded(seed)
    this.#rig = rig
    this.#pools = new HistoryPools(rig.kit, seed)
    this.#runtime = new Runtime(rig, this.#random, this.model, (line) => this.trace.push(line))
  }

  /** Runs it all. @throws what is wrong, with the seed and what was done */
  async run(): Promise<void> {
    try {
      await this.#play()
    } catch (error) {
      const told = this.trace.map((line) => `  ${line}`).join('\n')
      throw new Error(`HISTORY_SEED=${this.#seed}: ${String(error)}\n${told}`, { cause: error })
    }
  }

  async #play(): Promise<void> {
    await this.#pools.create()
    const actions = 15 + this.#random.below(16)
    for (let done = 0; done < actions; done++) await this.#step()
    await this.#quiet()
    await this.#last()
    await this.#deleteAll()
  }

  /** One action, and what must be so after it. */
  async #step(): Promise<void> {
    const roll = this.#random.below(40)
    if (roll < 7) await this.#makePod()
    else if (roll < 10) await this.#deletePod()
    else if (roll < 14) await this.#scale(this.#random.below(maxReplicas + 1))
    else if (roll < 16) await this.#editPools()
    else if (roll < 18) await this.#kill(this.#rig.names.filter((name) => name.startsWith('agent')))
    else if (roll === 18) await this.#kill(this.#rig.names.filter((name) => name.startsWith('controller')))
    else await this.#callSome()
    await this.#look()
  }

  async #look(): Promise<void> {
    await this.#readPods()
    this.model.check(await this.#pools.entries())
  }

  async #readPods(): Promise<void> {
    this.#pods = await this.#rig.kit.pods(`h${this.#seed}`)
  }

  /** Calls of some sandboxes at once, one after the other for each pod. */
  async #callSome(): Promise<void> {
    const chosen = this.#pods.filter(() => this.#random.chance(0.6))
    await Promise.all(chosen.map((pod) => this.#runtime.act(pod)))
  }

  /** Calls of all while a process is killed in the middle of them. */
  async #kill(names: readonly string[]): Promise<void> {
    const name = this.#random.pick(names) ?? ''
    const [inMs, awayMs] = [this.#random.below(60), this.#random.below(800)]
    this.trace.push(`kill ${name} in ${inMs} ms for ${awayMs} ms`)
    const kill = sleep(inMs).then(() => this.#rig.kill(name, awayMs))
    await Promise.all([kill, this.#callSome()])
  }

  get #labels(): Readonly<Record<string, string>> {
    return { app: `h${this.#seed}` }
  }

  async #makePod(): Promise<void> {
    const name = `h${this.#seed}-p${this.#podCount++}`
    const annotations = { [annotationKeys.ippool]: this.#pools.choice }
    const metadata = { name, namespace, labels: this.#labels, annotations }
    const nodeName = this.#random.pick(this.#rig.nodes)
    this.trace.push(`make pod ${name} on ${nodeName}`)
    const spec = { nodeName, containers: [{ name: 'c', image: 'pause' }] }
    await this.#rig.kit.create(resources.pod, { metadata, spec })
    if (this.#random.chance(0.5)) await this.#readPods()
  }

  /** A pod without a set may go before its sandbox, as by force; a replica never does: Kubernetes waits for its node. */
  async #deletePod(): Promise<void> {
    const pod = this.#random.pick(this.#pods)
    if (pod === undefined) return
    const isByForce = ordinalOf(pod) === undefined && this.#random.chance(0.5)
    this.trace.push(`delete pod ${pod.metadata.name}${isByForce ? ' by force' : ''}`)
    if (!isByForce) await this.#runtime.end(pod)
    await this.#removeObject(pod)
    if (isByForce) {
      await this.#look()
      await this.#runtime.end(pod)
    }
  }

  async #removeObject({ metadata: { name, uid = '' } }: Pod): Promise<void> {
    await this.#rig.kit.api
      .delete(resources.pod, { namespace, name }, { uid, gracePeriodSeconds: 0 }, never)
      .catch((error: unknown) => {
        // The workload controller was there before, or made the next one already.
        if (!(error instanceof ApiError && [404, 409].includes(error.status))) throw error
      })
  }

  /** The sandboxes of surplus replicas end first, as on a node. */
  async #scale(replicas: number): Promise<void> {
    const name = `h${this.#seed}-s`
    this.trace.push(`scale ${name} to ${replicas}`)
    for (const pod of this.#pods) if (Number(ordinalOf(pod) ?? -1) >= replicas) await this.#runtime.end(pod)
    this.model.scaled(replicas)
    if (this.#isSetMade) await this.#rig.kit.change(resources.statefulSet, name, { spec: { replicas } })
    else await this.#makeSet(name, replicas)
    this.#isSetMade = true
    this.#replicas = replicas
    await eventually(`${name} has ${replicas} replicas`, async () => {
      await this.#readPods()
      return this.#pods.filter((pod) => ordinalOf(pod) !== undefined).length === replicas ? true : undefined
    })
  }

  async #makeSet(name: string, replicas: number): Promise<void> {
    const annotations = { [annotationKeys.ippool]: this.#pools.choice }
    const podSpec = {
      nodeName: this.#random.pick(this.#rig.nodes),
      containers: [{ name: 'c', image: 'pause' }],
    }
    const spec = {
      ...{
        replicas,
        serviceName: name,
        podManagementPolicy: 'Parallel',
        updateStrategy: { type: 'OnDelete' },
      },
      // Not the label of all: a set takes in whatever its selector finds.
      selector: { matchLabels: { set: name } },
      template: { metadata: { labels: { ...this.#labels, set: name }, annotations }, spec: podSpec },
    }
    await this.#rig.kit.create(resources.statefulSet, { metadata: { name, namespace }, spec })
  }

  async #editPools(): Promise<void> {
    const isReserved = this.#random.chance(0.5)
    const made = isReserved
      ? await this.#pools.editReserved(this.#random)
      : await this.#pools.editExcluded(this.#random)
    const now = [...this.#pools.forbidden].join(', ')
    this.trace.push(`edit ${isReserved ? 'reservation' : 'pools'}: ${made}, forbidden are ${now || 'none'}`)
    this.model.forbade(this.#pools.forbidden)
  }

  /** Late calls are sent, and then the ledger has what it must have and no more. */
  async #quiet(): Promise<void> {
    this.trace.push('quiet')
    await this.#runtime.sendLate()
    await this.#readPods()
    await this.#settle('the ledger has nothing too much', async () => {
      const entries = await this.#pools.entries()
      this.model.check(entries)
      return this.model.leftover(entries, this.#pods, this.#replicas)
    })
  }

  /** All know the configuration by now: what it forbids must not be given. */
  async #last(): Promise<void> {
    this.#runtime.forbidden = this.#pools.forbidden
    for (let count = 0; count < 3; count++) await this.#makePod()
    await this.#readPods()
    await Promise.all(this.#pods.map((pod) => this.#runtime.addIfNone(pod)))
    await this.#look()
  }

  async #deleteAll(): Promise<void> {
    this.trace.push('delete all')
    await Promise.all(this.#pods.map((pod) => this.#runtime.end(pod, true)))
    await this.#runtime.sendLate()
    this.model.scaled(0)
    if (this.#isSetMade) {
      const name = `h${this.#seed}-s`
      await this.#rig.kit.api.delete(resources.statefulSet, { namespace, name }, {}, never)
    }
    for (const pod of this.#pods) await this.#removeObject(pod)
    await this.#settle('everything is given back', async () => {
      for (const pod of await this.#rig.kit.pods(`h${this.#seed}`)) await this.#removeObject(pod)
      const held = [...(await this.#pools.entries())]
      return held.length === 0 ? undefined : JSON.stringify(held[0])
    })
    const isEmpty = ({ status }: { status?: { allocatedIPCount?: number } }) => status?.allocatedIPCount === 0
    await this.#pools.allPools('the counts of the pools are 0', isEmpty, quietWithinMs)
    await this.#pools.remove()
  }

  async #settle(what: string, problem: () => Promise<string | undefined>): Promise<void> {
    const endMs = performance.now() + quietWithinMs
    for (;;) {
      const found = await problem()
      if (found === undefined) return
      assert.ok(performance.now() < endMs, `not within ${quietWithinMs} ms: ${what}: ${found}`)
      await sleep(200)
    }
  }
}
