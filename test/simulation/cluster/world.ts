import assert from 'node:assert/strict'
import {
  type BlockEntry,
  type KubeObject,
  type Pod,
  resources,
  type SpiderIpBlock,
  type Workload,
} from '../../../src/api/index.ts'
import { toError } from '../../../src/base/index.ts'
import { entriesOf } from '../../../src/ledger/index.ts'
import { Scheduler } from '../scheduler.ts'
import { AllocatorLink } from './allocator-link.ts'
import { ApiServer } from './api-server.ts'
import { ConfigLog } from './config-log.ts'
import { ControllerProcess } from './controller-process.ts'
import { type Faults, noFaults } from './faults.ts'
import { KubeLink } from './kube-link.ts'
import { Machine } from './machine.ts'
import { Model } from './model.ts'
import { trace } from './trace.ts'

const replicaCount = 2

/** A cluster of simulated machines and an API server in memory, with the real agent and controller on them. */
export class World {
  readonly scheduler: Scheduler
  readonly server = new ApiServer()
  readonly faults: Faults
  readonly config: ConfigLog
  readonly model: Model
  readonly machines = new Map<string, Machine>()
  readonly controllers: ControllerProcess[] = []
  /** What a step found wrong. */
  failure: Error | undefined
  #terms = 0
  #processes = 0
  #isDirty = true

  constructor(seed: number, faults: Faults) {
    this.scheduler = new Scheduler(seed)
    this.faults = { ...faults }
    this.config = new ConfigLog(() => this.scheduler.nowMs)
    this.model = new Model(this.server, this.config)
    this.model.isLeaseBroken = seed % 4 === 0
    this.model.isInJournal = (node, name) => this.machines.get(node)?.disk.has(name) === true
    let entries = new Map<string, Readonly<Record<string, BlockEntry>>>()
    this.server.onChange((resource, { type, object }) => {
      trace(this.scheduler.nowMs, () => `${resource.kind} ${type} ${JSON.stringify(object)}`)
      if (resource === resources.statefulSet) this.#setChanged(type, object as Workload)
      if (resource !== resources.ipBlock) return
      this.#isDirty = true
      const { metadata, spec } = object as SpiderIpBlock
      const before = entries.get(metadata.name) ?? {}
      const now = entriesOf({ spec })
      entries = entries.set(metadata.name, now)
      for (const [ip, entry] of Object.entries(now)) {
        if (before[ip]?.since !== entry.since) this.#guard(() => this.#checkNew(ip, entry, spec.term))
      }
    })
  }

  #setChanged(type: string, { metadata, spec }: Workload): void {
    this.model.setReplicas(metadata.uid ?? '', type === 'DELETED' ? 0 : (spec?.replicas ?? 1))
  }

  /** Whoever gave it must have known it as an address of the pool that was neither excluded nor reserved. */
  #checkNew(ip: string, entry: BlockEntry, term: number): void {
    const writer = this.controllers.find(({ terms }) => terms.includes(term))
    assert(writer !== undefined, `a block has term ${term}, which nobody had`)
    const isFair = this.config.mightGive(writer, entry.pool, ip, entry.since)
    assert(isFair, `${ip} was given newly, though pool ${entry.pool} does not offer it`)
  }

  startController(): void {
    const controller = new ControllerProcess(`controller-${++this.#processes}`, this)
    const note = (): void => {
      if (controller.gate.leadership === undefined) return
      this.config.note(controller)
      this.model.configChanged()
    }
    controller.onServing = note
    controller.caches.pools.onChange(note)
    controller.caches.reservedIps.onChange(note)
    this.controllers.push(controller)
  }

  /** Another replica gets the lease, or the same one again. */
  elect(): void {
    const { scheduler } = this
    for (const one of this.controllers)
      one.revoke(this.model.isLeaseBroken && !this.model.isQuiet && scheduler.chance(0.5))
    const next = scheduler.pick(
      this.controllers.filter(({ isCrashed, lease }) => !isCrashed && lease === undefined),
    )
    next?.grant(++this.#terms)
    trace(scheduler.nowMs, () => `term ${this.#terms} is of ${next?.actor}`)
  }

  /** As a Deployment and the lease do: two replicas, one of which leads. */
  keepControllers(): void {
    const living = this.controllers.filter(({ isCrashed }) => !isCrashed)
    if (living.length < replicaCount) this.startController()
    if (living.every(({ lease }) => lease?.isHeld() !== true)) this.elect()
  }

  addMachine(node: string): void {
    const { server, scheduler, faults, model } = this
    this.server.create(resources.node, { metadata: { name: node } })
    const machine = new Machine(node, {
      scheduler,
      server,
      model,
      kubeOf: (actor) => new KubeLink(server, scheduler, actor, faults),
      allocatorOf: (actor) =>
        new AllocatorLink(
          { actor, node },
          {
            scheduler,
            faults,
            controllers: () => this.controllers,
            hasEnded: (containerId) => model.hasEnded(containerId),
          },
        ),
      newName: (what) => `${what}-${node}-${++this.#processes}`,
    })
    this.machines.set(node, machine)
    machine.boot()
  }

  /** What Kubernetes does by itself: kubelets see their pods, and what nobody owns any more is collected. */
  tick(): void {
    for (const machine of this.machines.values()) machine.sync()
    for (const endpoint of this.server.list(resources.endpoint)) {
      const { name, namespace = '', finalizers = [], ownerReferences = [] } = endpoint.metadata
      const pod = this.server.get<Pod>(resources.pod, { namespace, name })
      const isOrphan = ownerReferences.some(({ uid }) => uid !== pod?.metadata.uid)
      if (isOrphan && finalizers.length === 0) this.server.delete(resources.endpoint, { namespace, name })
    }
  }

  endpoints(): readonly KubeObject[] {
    return this.server.list(resources.endpoint)
  }

  /** One event, and then the check of all that must be so. @throws what was found wrong */
  async step(): Promise<void> {
    const isAlive = await this.scheduler.step()
    assert(isAlive, 'nothing is left to do')
    if (this.#isDirty) this.#guard(() => this.model.check())
    this.#isDirty = false
    if (this.failure !== undefined) throw this.failure
  }

  #guard(check: () => void): void {
    try {
      check()
    } catch (error) {
      this.failure ??= toError(error)
    }
  }
}

export const somethingFails: Faults = {
  ...noFaults,
  lost: 0.02,
  unanswered: 0.03,
  late: 0.02,
  refused: 0.02,
  doubled: 0.05,
  watchEnds: 0.01,
  rewinds: 0.02,
}
