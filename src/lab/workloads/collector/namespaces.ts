import { type KubeObject, type Namespace, type Resource, resources } from '../../../api/index.ts'
import { ApiError, objectPath, type Requeue } from '../../../kube/index.ts'
import { forEach, isGone } from '../act.ts'
import { timeText } from '../model/amounts.ts'
import { refOf, type World } from '../world.ts'
import type { Catalog } from './catalog.ts'

const retryMs = 700
const namespaceFinalizer = 'kubernetes'
const defaultAccount = 'default'

interface FinalizableNamespace extends Namespace {
  readonly spec?: { readonly finalizers?: readonly string[] }
  readonly status?: Namespace['status'] & { readonly conditions?: readonly unknown[] }
}

/** Empties a namespace that is being deleted, then lets it go; gives every other its `default` ServiceAccount. */
export async function reconcileNamespace(
  world: World,
  catalog: Catalog,
  name: string,
  signal: AbortSignal,
): Promise<Requeue> {
  const cached = world.namespaces.get({ name })
  if (cached === undefined) return 'settled'
  if (cached.metadata.deletionTimestamp === undefined) {
    await ensureAccount(world, name, signal)
    return 'settled'
  }
  const namespace = await world.api.get<FinalizableNamespace>(resources.namespace, { name }, signal)
  if (namespace?.metadata.deletionTimestamp === undefined) return 'settled'
  // A kind that was defined a moment ago may have objects here.
  await catalog.refresh(signal)
  const left = await empty(world, catalog, name, signal)
  if (left.length > 0) {
    await explain(world, namespace, left, signal)
    return { afterMs: retryMs }
  }
  const kept = (namespace.spec?.finalizers ?? []).filter((finalizer) => finalizer !== namespaceFinalizer)
  const path = objectPath(resources.namespace, { name }, 'finalize')
  const body = { ...namespace, spec: { ...namespace.spec, finalizers: kept } }
  try {
    await world.api.request('PUT', path, body, signal)
  } catch (error) {
    if (!isGone(error)) throw error
  }
  return 'settled'
}

async function ensureAccount(world: World, namespace: string, signal: AbortSignal): Promise<void> {
  if (world.serviceAccounts.get({ namespace, name: defaultAccount }) !== undefined) return
  const account = {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name: defaultAccount, namespace },
  }
  try {
    await world.api.create(resources.serviceAccount, account, signal)
  } catch (error) {
    if (!isGone(error)) throw error
  }
}

interface Left {
  readonly resource: Resource
  readonly count: number
  readonly finalizers: readonly string[]
}

/** Asks for the deletion of all there is. @returns what was still there before */
async function empty(
  world: World,
  catalog: Catalog,
  namespace: string,
  signal: AbortSignal,
): Promise<readonly Left[]> {
  const left: Left[] = []
  for (const resource of [...catalog.namespacedResources(), resources.event]) {
    const items = await itemsOf(world, resource, namespace, signal)
    if (items.length === 0) continue
    const finalizers = new Set(items.flatMap(({ metadata }) => metadata.finalizers ?? []))
    left.push({ resource, count: items.length, finalizers: [...finalizers] })
    const alive = items.filter(({ metadata }) => metadata.deletionTimestamp === undefined)
    await forEach(alive, (item) => remove(world, resource, item, signal))
  }
  // Events that are left do not hold up the namespace: their deletion has been acknowledged.
  return left.filter(({ resource }) => resource !== resources.event)
}

async function itemsOf(
  world: World,
  resource: Resource,
  namespace: string,
  signal: AbortSignal,
): Promise<readonly KubeObject[]> {
  try {
    return (await world.api.listAll<KubeObject>(resource, { namespace }, signal)).items
  } catch (error) {
    // The kind went meanwhile, and its objects with it.
    if (error instanceof ApiError && (error.status === 404 || error.status === 405)) return []
    throw error
  }
}

async function remove(
  world: World,
  resource: Resource,
  item: KubeObject,
  signal: AbortSignal,
): Promise<void> {
  const { uid } = item.metadata
  const options = { propagation: 'Background', ...(uid === undefined ? {} : { uid }) } as const
  try {
    await world.api.delete(resource, refOf(item), options, signal)
  } catch (error) {
    if (!isGone(error)) throw error
  }
}

/** Says in the namespace what it still waits for. */
async function explain(
  world: World,
  namespace: FinalizableNamespace,
  left: readonly Left[],
  signal: AbortSignal,
): Promise<void> {
  const parts = left.map(({ resource, count, finalizers }) => {
    const held = finalizers.length === 0 ? '' : ` with finalizers ${finalizers.join(', ')}`
    return `${resource.plural} has ${count} resource instances${held}`
  })
  const message = `Some resources are remaining: ${parts.join('; ')}`
  const condition = {
    type: 'NamespaceContentRemaining',
    status: 'True',
    reason: 'SomeResourcesRemain',
    message,
  }
  const now = timeText(world.clock.nowMs())
  const body = { status: { conditions: [{ ...condition, lastTransitionTime: now }] } }
  const patch = { type: 'merge', body, subresource: 'status' } as const
  if (JSON.stringify(namespace.status?.conditions ?? []).includes(JSON.stringify(message))) return
  try {
    await world.api.patch(resources.namespace, refOf(namespace), patch, signal)
  } catch (error) {
    if (!isGone(error)) throw error
  }
}
