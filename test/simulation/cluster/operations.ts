import { controllerOf, type Pod, resources, type Workload } from '../../../src/api/index.ts'
import { ClusterObjects, namespace, poolNames } from './cluster-objects.ts'
import { trace } from './trace.ts'
import type { World } from './world.ts'

const firstNodes = ['node-a', 'node-b', 'node-c']

/** What happens to the cluster: people, Kubernetes' own controllers, and everything that breaks. */
export class Operations {
  readonly objects: ClusterObjects
  readonly #world: World

  constructor(world: World) {
    this.#world = world
    this.objects = new ClusterObjects(world)
  }

  begin(): void {
    const { server, scheduler } = this.#world
    for (const name of [namespace, 'kube-system']) server.create(resources.namespace, { metadata: { name } })
    for (const node of firstNodes.slice(0, 2 + scheduler.below(2))) this.#world.addMachine(node)
    for (const name of poolNames) this.objects.makePool(name)
    this.#world.keepControllers()
    this.#world.keepControllers()
    this.#world.elect()
  }

  /** Workload controllers: missing pods are made, and those that are too many, or of nobody, go. */
  reconcile(): void {
    const { server } = this.#world
    const pods = server.list<Pod>(resources.pod)
    const workloads = this.objects.workloads()
    for (const pod of pods) {
      const owner = controllerOf(pod.metadata)
      if (owner === undefined || pod.metadata.deletionTimestamp !== undefined) continue
      const found = workloads.find(({ object }) => object.metadata.uid === owner.uid)
      if (found === undefined || isSurplus(pod, found.object, pods)) this.#deletePod(pod)
    }
    for (const workload of workloads) {
      const { uid } = workload.object.metadata
      const own = pods.filter(({ metadata }) => controllerOf(metadata)?.uid === uid)
      const living = own.filter(({ metadata }) => metadata.deletionTimestamp === undefined)
      const replicas = workload.object.spec?.replicas ?? 0
      if (workload.kind === 'ReplicaSet') {
        for (let n = living.length; n < replicas; n++) this.objects.makeReplica(workload, n)
        continue
      }
      for (let ordinal = 0; ordinal < replicas; ordinal++) {
        const name = `${workload.object.metadata.name}-${ordinal}`
        // Of an older set of that name one may still be there.
        if (server.get(resources.pod, { namespace, name }) === undefined)
          this.objects.makeReplica(workload, ordinal)
      }
    }
  }

  #deletePod({ metadata: { name } }: Pod): void {
    this.#world.server.delete(resources.pod, { namespace, name }, { isGraceful: true })
  }

  /** One thing that people or controllers do. */
  act(): void {
    const { scheduler, server } = this.#world
    const { objects } = this
    const workload = scheduler.pick(objects.workloads())
    const pod = scheduler.pick(server.list<Pod>(resources.pod))
    const roll = scheduler.below(20)
    if (roll < 2) objects.makeWorkload('ReplicaSet', `d${scheduler.below(2)}`, 1 + scheduler.below(3))
    else if (roll < 5) objects.makeWorkload('StatefulSet', `s${scheduler.below(2)}`, 1 + scheduler.below(3))
    else if (roll < 8) objects.makeBarePod(`bare-${scheduler.below(3)}`)
    else if (roll < 10 && workload !== undefined)
      objects.scale(workload.kind, workload.object.metadata.name, scheduler.below(4))
    else if (roll === 10 && workload !== undefined)
      objects.deleteWorkload(workload.kind, workload.object.metadata.name)
    else if (roll < 14 && pod !== undefined) this.#deletePod(pod)
    else if (roll === 14 && pod !== undefined) this.#forceDelete(pod)
    else if (roll < 17) objects.editReservation()
    else if (roll === 17) objects.editPool(scheduler.pick(poolNames) ?? '')
    else if (roll === 18 && scheduler.chance(0.3)) {
      const name = scheduler.pick(poolNames) ?? ''
      server.delete(resources.ipPool, { name })
    } else for (const name of poolNames) objects.makePool(name)
  }

  /** The object goes at once; the sandbox does not. Kubernetes forbids it for sets: there it means two pods of one name. */
  #forceDelete(pod: Pod): void {
    const { server, scheduler } = this.#world
    const { name } = pod.metadata
    if (this.#world.model.pod(pod.metadata.uid ?? '')?.sticky !== undefined) {
      this.#deletePod(pod)
      return
    }
    server.delete(resources.pod, { namespace, name })
    if (name.startsWith('bare') && scheduler.chance(0.7)) this.objects.makeBarePod(name)
  }

  /** One thing that breaks. */
  disturb(): void {
    const { scheduler, controllers, faults, machines } = this.#world
    const controller = scheduler.pick(controllers.filter(({ isCrashed }) => !isCrashed))
    const machine = scheduler.pick([...machines.values()])
    const roll = scheduler.below(20)
    trace(scheduler.nowMs, () => `disturbance ${roll} of ${controller?.actor} or ${machine?.node}`)
    if (roll < 3) machine?.restartAgent()
    else if (roll < 5) controller?.crash()
    else if (roll < 8) this.#world.elect()
    else if (roll < 10 && controller !== undefined) this.#freezeAWhile(controller.actor, 20_000)
    else if (roll < 12 && controller !== undefined) this.#freezeAWhile(`${controller.actor}~watch`, 30_000)
    else if (roll < 14 && machine?.agent !== undefined) this.#freezeAWhile(machine.agent.actor, 15_000)
    else if (roll < 16) {
      faults.isDown = true
      scheduler.after('world', scheduler.below(10_000), () => {
        faults.isDown = false
      })
    } else if (roll === 16 && machine !== undefined) {
      machine.switchOff()
      scheduler.after('world', scheduler.below(15_000), () => machine.boot())
    } else if (roll === 17 && machine !== undefined && machines.size > 1 && scheduler.chance(0.5)) {
      this.#removeNode(machine.node)
    } else if (roll === 18 && machines.size < 3) this.#world.addMachine(`node-${scheduler.below(1_000_000)}`)
  }

  #freezeAWhile(actor: string, ms: number): void {
    const { scheduler } = this.#world
    scheduler.freeze(actor)
    scheduler.after('world', scheduler.below(ms), () => scheduler.thaw(actor))
  }

  /** A machine is switched off for good, its Node is deleted, and its pods go with it. */
  #removeNode(node: string): void {
    const { server, machines } = this.#world
    const machine = machines.get(node)
    if (machine === undefined) return
    machine.switchOff()
    machine.isRemoved = true
    machines.delete(node)
    server.delete(resources.node, { name: node })
    for (const { metadata } of server.list<Pod>(resources.pod, { fieldSelector: `spec.nodeName=${node}` }))
      server.delete(resources.pod, { namespace, name: metadata.name })
  }

  deleteAll(): void {
    for (const { kind, object } of this.objects.workloads())
      this.objects.deleteWorkload(kind, object.metadata.name)
    for (const pod of this.#world.server.list<Pod>(resources.pod)) this.#deletePod(pod)
  }
}

function isSurplus(pod: Pod, { metadata, spec }: Workload, pods: readonly Pod[]): boolean {
  const replicas = spec?.replicas ?? 0
  const ordinal = Number(pod.metadata.name.slice(metadata.name.length + 1))
  if (Number.isInteger(ordinal)) return ordinal >= replicas
  const living = pods.filter(
    (one) => controllerOf(one.metadata)?.uid === metadata.uid && one.metadata.deletionTimestamp === undefined,
  )
  return living.indexOf(pod) >= replicas
}
