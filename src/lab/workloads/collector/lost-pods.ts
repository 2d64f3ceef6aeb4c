import { resources } from '../../../api/index.ts'
import type { Requeue } from '../../../kube/index.ts'
import { forEach, isGone } from '../act.ts'
import type { WorkloadPod } from '../model/kinds.ts'
import { refOf, type World } from '../world.ts'

/** A node that is registered again within this time keeps its pods. */
export const quarantineMs = 40_000
const checkEveryMs = 20_000

/** Force-deletes pods whose node is gone, and pods that are going and never had a node: no kubelet will do it. */
export class LostPods {
  readonly #world: World
  readonly #missingSince = new Map<string, number>()

  constructor(world: World) {
    this.#world = world
  }

  async reconcile(signal: AbortSignal): Promise<Requeue> {
    const { pods, nodes, clock } = this.#world
    const byNode = Map.groupBy(pods.cache.values(), (pod) => pod.spec?.nodeName ?? '')
    const missing = [...byNode.keys()].filter((name) => name !== '' && nodes.get({ name }) === undefined)
    for (const name of this.#missingSince.keys()) {
      if (!missing.includes(name)) this.#missingSince.delete(name)
    }
    for (const name of missing) {
      const since = this.#missingSince.get(name) ?? clock.nowMs()
      this.#missingSince.set(name, since)
      if (clock.nowMs() - since < quarantineMs) continue
      // The cache may be late: only the API server itself can say that the node is gone.
      const node = await this.#world.api.get(resources.node, { name }, signal)
      if (node === undefined) await this.#removeAll(byNode.get(name) ?? [], `node ${name} is gone`, signal)
    }
    const unborn = (byNode.get('') ?? []).filter(({ metadata }) => metadata.deletionTimestamp !== undefined)
    await this.#removeAll(unborn, 'deleted before it had a node', signal)
    return { afterMs: checkEveryMs }
  }

  async #removeAll(pods: readonly WorkloadPod[], why: string, signal: AbortSignal): Promise<void> {
    await forEach(pods, async (pod) => {
      const { uid, name, namespace } = pod.metadata
      this.#world.logger.info('force-deletes a pod', { pod: name, namespace, uid, why })
      const options = { gracePeriodSeconds: 0, ...(uid === undefined ? {} : { uid }) }
      try {
        await this.#world.api.delete(resources.pod, refOf(pod), options, signal)
      } catch (error) {
        if (!isGone(error)) throw error
      }
    })
  }
}
