import {
  type KubeObject,
  type Resource,
  resources,
  spiderFinalizer,
  spiderGroup,
  trustNames,
  webhookConfigurationName,
  webhookConfigurationResources,
} from '../../api/index.ts'
import { OperationError, systemClock, toError } from '../../base/index.ts'
import { ApiError, findByName, type KubeApi, type ObjectRef } from '../../kube/index.ts'

/** What is to be removed, beside what the package manager removes by itself. */
export interface UninstallOptions {
  /** Namespace of the installation. */
  readonly namespace: string
  /** Also the objects of all our kinds and the definitions of these kinds. */
  readonly removeData: boolean
}

/** Name of the Deployment that is stopped. */
export const controllerDeployment = 'spiderpool-controller'
const controllerPods = 'app.kubernetes.io/component=spiderpool-controller'
const stopBudgetMs = 60_000
const goneBudgetMs = 30_000
const pollMs = 500
const atOnce = 16
const attempts = 5
const shownNames = 5

/** Kinds of ours in the order in which they are let go: what holds addresses first. */
const ourKinds: readonly Resource[] = [
  resources.endpoint,
  resources.ipClaim,
  resources.ipPool,
  resources.subnet,
  resources.reservedIp,
  resources.multusConfig,
  resources.coordinator,
  resources.ipBlock,
]

/**
 * Makes sure that nothing of ours blocks the cluster once the controller is gone: webhooks go first, the controller is stopped so
 * that it puts nothing back, and our finalizers are taken off. Finalizers of others are left alone. Last of all, what tells
 * agents of an uninstall. Safe to repeat.
 * @param report gets a line for each step
 * @returns what could not be done, one line each; nothing is waited for without end. What others hold is only reported
 */
export async function uninstall(
  options: UninstallOptions,
  api: KubeApi,
  report: (line: string) => void,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const failed: string[] = []
  const step = async (what: string, work: () => Promise<string>): Promise<void> => {
    try {
      report(`${what}: ${await work()}`)
    } catch (error) {
      signal.throwIfAborted()
      const text = `${what}: ${toError(error).message}`
      if (error instanceof DefinitionKeptError) report(`left: ${text}`)
      else failed.push(text)
    }
  }
  for (const resource of webhookConfigurationResources) {
    await step(`${resource.kind} ${webhookConfigurationName}`, async () => {
      await api.delete(resource, { name: webhookConfigurationName }, {}, signal)
      return 'removed'
    })
  }
  await step('controller', () => stopController(options.namespace, api, signal))
  for (const resource of ourKinds) {
    await step(resource.plural, () => letGo(resource, options.removeData, api, signal))
  }
  for (const resource of options.removeData ? ourKinds : []) {
    await step(`definition of ${resource.plural}`, () => removeDefinition(resource, api, signal))
  }
  // After the controller, which would write it again.
  await step(`ConfigMap ${trustNames.authorities}`, async () => {
    const ref = { namespace: options.namespace, name: trustNames.authorities }
    await api.delete(resources.configMap, ref, {}, signal)
    return 'removed: agents that end from now on take their CNI configuration off their nodes'
  })
  return failed
}

async function stopController(namespace: string, api: KubeApi, signal: AbortSignal): Promise<string> {
  const ref = { name: controllerDeployment, namespace }
  const patch = { type: 'merge', body: { spec: { replicas: 0 } }, subresource: 'scale' } as const
  try {
    await api.patch(resources.deployment, ref, patch, signal)
  } catch (error) {
    if (isNotFound(error)) return 'not there'
    throw error
  }
  const query = { namespace, labelSelector: controllerPods }
  const isGone = await poll(stopBudgetMs, signal, async () => {
    return (await api.list(resources.pod, { ...query, limit: 1 }, signal)).items.length === 0
  })
  if (!isGone) throw new ControllerRunsError(namespace)
  return 'stopped'
}

/** What goes on running may put finalizers back after they were taken off. */
class ControllerRunsError extends OperationError {
  override readonly code = 'CONTROLLER_RUNS'
  override readonly retry = 'later'

  constructor(namespace: string) {
    const remedy = `Wait until the pods ${controllerPods} of namespace ${namespace} are gone, then run this again`
    super(`told to stop, but its pods are still there and may put finalizers back. ${remedy}`, remedy)
  }
}

/** Takes our finalizers off all objects of a kind, and deletes them where that is asked for. */
async function letGo(
  resource: Resource,
  isRemoved: boolean,
  api: KubeApi,
  signal: AbortSignal,
): Promise<string> {
  const objects = await listNames(resource, api, signal)
  const waiting = isRemoved ? [...objects] : objects.filter(isHeldByUs)
  const worker = async (): Promise<void> => {
    for (let object = waiting.pop(); object !== undefined; object = waiting.pop()) {
      if (isRemoved) await api.delete(resource, refOf(object), {}, signal)
      await release(resource, object, api, signal)
    }
  }
  const count = waiting.length
  const goneCount = waiting.filter(isGoneWithUs).length
  await Promise.all(Array.from({ length: Math.min(atOnce, count) }, worker))
  if (isRemoved) return `${count} deleted`
  const told = `${count} of ${objects.length} released`
  if (goneCount === 0) return `${told}, all kept`
  return `${told}, ${goneCount} were being deleted, now gone; ${objects.length - goneCount} kept`
}

async function release(
  resource: Resource,
  found: KubeObject,
  api: KubeApi,
  signal: AbortSignal,
): Promise<void> {
  let object: KubeObject | undefined = found
  for (let attempt = 1; ; attempt++) {
    if (object === undefined || !isHeldByUs(object)) return
    const { finalizers = [], resourceVersion } = object.metadata
    const rest = finalizers.filter((finalizer) => finalizer !== spiderFinalizer)
    const body = { metadata: { resourceVersion, finalizers: rest.length === 0 ? null : rest } }
    try {
      await api.patch(resource, refOf(object), { type: 'merge', body }, signal)
      return
    } catch (error) {
      if (isNotFound(error)) return
      if (!(error instanceof ApiError) || error.status !== 409 || attempt === attempts) throw error
      object = await findByName(api, resource, refOf(object), signal)
    }
  }
}

/** A definition goes when no object is left: one whose objects others hold would hang, and block the next installation. */
async function removeDefinition(resource: Resource, api: KubeApi, signal: AbortSignal): Promise<string> {
  let held: readonly KubeObject[] = []
  const isEmpty = await poll(goneBudgetMs, signal, async () => {
    held = await listNames(resource, api, signal)
    return held.length === 0
  })
  const name = `${resource.plural}.${spiderGroup}`
  if (!isEmpty) {
    const names = held.slice(0, shownNames).map(({ metadata }) => {
      const { namespace, name: own, finalizers = [] } = metadata
      return `${namespace === undefined ? '' : `${namespace}/`}${own} (${finalizers.join(', ')})`
    })
    const more = held.length > shownNames ? ', ...' : ''
    throw new DefinitionKeptError(
      `kept, ${held.length} objects have finalizers of others: ${names.join('; ')}${more}`,
      `See whose they are; then: kubectl delete crd ${name}`,
    )
  }
  const definition = resources.customResourceDefinition
  await api.delete(definition, { name }, {}, signal)
  return 'removed'
}

class DefinitionKeptError extends OperationError {
  override readonly code = 'DEFINITION_KEPT'
  override readonly retry = 'after-change'

  constructor(problem: string, remedy: string) {
    super(`${problem}. ${remedy}`, remedy)
  }
}

/** Name, finalizers and version of all objects of a kind; none when the kind is not served. */
async function listNames(
  resource: Resource,
  api: KubeApi,
  signal: AbortSignal,
): Promise<readonly KubeObject[]> {
  const keep = ({ metadata }: KubeObject): KubeObject => {
    const { name, namespace, finalizers = [], resourceVersion = '', deletionTimestamp } = metadata
    const place = namespace === undefined ? {} : { namespace }
    const end = deletionTimestamp === undefined ? {} : { deletionTimestamp }
    return { metadata: { name, ...place, ...end, finalizers, resourceVersion } }
  }
  try {
    return (await api.listAll(resource, { limit: 500, keep }, signal)).items
  } catch (error) {
    if (isNotFound(error)) return []
    throw error
  }
}

function refOf({ metadata }: KubeObject): ObjectRef {
  const { name, namespace } = metadata
  return namespace === undefined ? { name } : { name, namespace }
}

function isHeldByUs({ metadata }: KubeObject): boolean {
  return metadata.finalizers?.includes(spiderFinalizer) === true
}

/** Somebody deleted it, and it waits for our finalizer alone. */
function isGoneWithUs({ metadata }: KubeObject): boolean {
  const { deletionTimestamp, finalizers = [] } = metadata
  return deletionTimestamp !== undefined && finalizers.every((finalizer) => finalizer === spiderFinalizer)
}

function isNotFound(error: unknown): boolean {
  return error instanceof ApiError && error.status === 404
}

/** @returns false when it is not so within `budgetMs` */
async function poll(budgetMs: number, signal: AbortSignal, isSo: () => Promise<boolean>): Promise<boolean> {
  const untilMs = systemClock.nowMs() + budgetMs
  while (!(await isSo())) {
    if (systemClock.nowMs() > untilMs) return false
    await systemClock.sleep(pollMs, signal)
  }
  return true
}
