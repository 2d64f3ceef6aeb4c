import type { Allocator } from '../../../src/agent/index.ts'
import type { Scheduler } from '../scheduler.ts'
import { AgentProcess, type NodeParts } from './agent-process.ts'
import type { ApiServer } from './api-server.ts'
import type { KubeLink } from './kube-link.ts'
import { Kubelet } from './kubelet.ts'
import { NodeDisk } from './memory-folder.ts'
import type { Model } from './model.ts'

interface MachineParts {
  readonly scheduler: Scheduler
  readonly server: ApiServer
  readonly model: Model
  readonly kubeOf: (actor: string) => KubeLink
  readonly allocatorOf: (actor: string) => Allocator
  /** A name for a process that no other ever had. */
  readonly newName: (what: string) => string
}

/** One machine: a disk that stays, and an agent and a kubelet that come and go. */
export class Machine {
  readonly node: string
  readonly disk: NodeDisk
  isOff = true
  /** Its node was removed: it never comes back. */
  isRemoved = false
  agent: AgentProcess | undefined
  readonly #parts: MachineParts
  readonly #shared: NodeParts
  readonly #netns = new Map<string, string>()
  #kubelet: Kubelet | undefined

  constructor(node: string, parts: MachineParts) {
    this.node = node
    this.#parts = parts
    this.disk = new NodeDisk(parts.scheduler)
    this.#shared = {
      node,
      disk: this.disk,
      spool: [],
      namespaces: {
        identity: (path) => this.#netns.get(path),
        hostIdentities: () => ['host'],
        interfaceNames: () => [],
        changeDefaultRoutes: () => undefined,
        giveMac: () => undefined,
      },
    }
  }

  boot(): void {
    const { scheduler, server, model, newName } = this.#parts
    if (!this.isOff || this.isRemoved) return
    this.isOff = false
    this.startAgent()
    const old = this.#kubelet?.leftovers() ?? []
    this.#kubelet = new Kubelet(newName('kubelet'), {
      ...this.#shared,
      scheduler,
      server,
      model,
      netns: this.#netns,
      agent: () => {
        if (this.agent === undefined) throw new Error('the machine is off')
        return this.agent
      },
      isQuiet: () => model.isQuiet,
    })
    for (const call of old) if (scheduler.chance(0.5)) this.#shared.spool.push(call)
  }

  startAgent(): void {
    const { scheduler, kubeOf, allocatorOf, newName } = this.#parts
    const actor = newName('agent')
    const ports = { scheduler, kube: kubeOf(actor), allocator: allocatorOf(actor) }
    this.agent = new AgentProcess(actor, this.#shared, ports)
  }

  /** kill -9, and the DaemonSet starts another. */
  restartAgent(): void {
    if (this.isOff) return
    this.agent?.crash()
    this.startAgent()
  }

  /** Power off: all that ran is gone, and of the disk what was not synced may be as it was. */
  switchOff(): void {
    if (this.isOff) return
    this.isOff = true
    this.agent?.crash()
    if (this.#kubelet !== undefined) this.#parts.scheduler.crash(this.#kubelet.actor)
    for (const call of this.#kubelet?.leftovers() ?? []) this.#parts.model.ended(call)
    this.#netns.clear()
    this.disk.machineCrashed()
  }

  sync(): void {
    if (!this.isOff) this.#kubelet?.sync()
  }
}
