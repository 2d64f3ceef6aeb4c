// The floor of what an allocation can cost: creates of objects of the size of a SpiderEndpoint that nobody watches.
import { setTimeout as sleep } from 'node:timers/promises'
import type { KubeObject, Resource, SpiderEndpoint } from '../../src/api/index.ts'
import { resources } from '../../src/api/index.ts'
import type { KubeClient } from '../../src/kube/index.ts'
import { inParallel } from '../../test/support/ipam-burst.ts'

const never = new AbortController().signal
const group = 'bench.spiderpool.spidernet.io'
const floor: Resource = { ...resources.endpoint, group, plural: 'benchendpoints', kind: 'BenchEndpoint' }
const namespace = 'default'

interface Definition extends KubeObject {
  readonly spec: {
    readonly versions: readonly { readonly name: string; readonly schema?: unknown }[]
  }
}

/** Defines a kind with the schema of SpiderEndpoint and no controller, and waits until it is served. */
export async function defineFloor(api: KubeClient): Promise<void> {
  const name = `${resources.endpoint.plural}.${resources.endpoint.group}`
  const model = await api.get<Definition>(resources.customResourceDefinition, { name }, never)
  if (model === undefined) throw new Error(`There is no CustomResourceDefinition "${name}"`)
  const versions = model.spec.versions.map(({ name: version, schema }) => {
    return { name: version, served: true, storage: true, schema }
  })
  const names = {
    plural: floor.plural,
    singular: 'benchendpoint',
    kind: floor.kind,
    listKind: 'BenchEndpointList',
  }
  const definition = {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${floor.plural}.${group}` },
    spec: { group, names, scope: 'Namespaced', versions },
  }
  await api.create(resources.customResourceDefinition, definition as KubeObject, never)
  for (;;) {
    try {
      await api.list(floor, { limit: 1 }, never)
      return
    } catch {
      await sleep(200)
    }
  }
}

/** A SpiderEndpoint as the controller writes it, under the other kind. */
function bodyOf(model: SpiderEndpoint, name: string): KubeObject {
  const { metadata, ...rest } = model
  const { labels = {}, annotations = {}, ownerReferences = [], finalizers = [] } = metadata
  const { version } = floor
  return {
    ...rest,
    apiVersion: `${group}/${version}`,
    kind: floor.kind,
    metadata: { name, namespace, labels, annotations, ownerReferences, finalizers: finalizers.slice(0, 0) },
  } as KubeObject
}

/** @returns milliseconds that one create took */
export async function createFloorObject(
  api: KubeClient,
  model: SpiderEndpoint,
  name: string,
): Promise<number> {
  const fromMs = performance.now()
  await api.create(floor, bodyOf(model, name), never)
  return performance.now() - fromMs
}

/**
 * Creates as many.
 * @param clients take turns: one alone has fewer calls under way than the plugin
 * @returns seconds of the creates, and milliseconds of each
 */
export async function runFloor(
  clients: readonly [KubeClient, KubeClient],
  model: SpiderEndpoint,
  { count, atOnce }: { readonly count: number; readonly atOnce: number },
): Promise<{ readonly seconds: number; readonly callMs: readonly number[] }> {
  const names = Array.from({ length: count }, (_, index) => `floor-${index}`)
  const startedMs = performance.now()
  const callMs = await inParallel(names, atOnce, async (name) => {
    return createFloorObject(clients[Number(name.at(-1)) % 2 === 0 ? 0 : 1], model, name)
  })
  const seconds = (performance.now() - startedMs) / 1000
  return { seconds, callMs }
}

/** Takes them away again. */
export async function removeFloor(api: KubeClient): Promise<void> {
  const path = `/apis/${group}/${floor.version}/namespaces/${namespace}/${floor.plural}`
  await api.request('DELETE', path, undefined, never)
}
