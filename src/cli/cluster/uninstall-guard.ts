import { implementationLabel, resources, type Workload } from '../../api/index.ts'
import { OperationError } from '../../base/index.ts'
import type { KubeApi } from '../../kube/index.ts'
import { controllerDeployment, type UninstallOptions } from './uninstall.ts'

/** The namespace is not one that the product is installed in. */
class NotInstalledError extends OperationError {
  override readonly code = 'NOT_INSTALLED'
  override readonly retry = 'after-change'
}

/** What {@link uninstall} would do, one line each. */
export function uninstallPlan({ namespace, removeData }: UninstallOptions): readonly string[] {
  const data = removeData
    ? 'DELETE all objects of our kinds with the addresses on record, then the definitions of these kinds'
    : 'take our finalizers off all objects of our kinds; those that are being deleted go then, all others stay'
  return [
    'remove both webhook configurations "spiderpool-controller"',
    `stop the controllers: scale the Deployment "${controllerDeployment}" in namespace "${namespace}" to 0`,
    data,
    'let the agents take their CNI configuration off their nodes when they are deleted',
  ]
}

/**
 * Refuses a namespace without a Deployment of our controller.
 * @throws {OperationError} naming what is there, and how to go on all the same
 */
export async function assertInstalled(namespace: string, api: KubeApi, signal: AbortSignal): Promise<void> {
  const ref = { name: controllerDeployment, namespace }
  const found = await api.get<Workload>(resources.deployment, ref, signal)
  const labels = found?.spec?.template?.metadata?.labels ?? {}
  if (labels[implementationLabel.key] === implementationLabel.value) return
  const problem =
    found === undefined
      ? `there is no Deployment "${controllerDeployment}"`
      : `the Deployment "${controllerDeployment}" is not ours: its pods lack the label ${implementationLabel.key}=${implementationLabel.value}`
  throw new NotInstalledError(
    `Cannot uninstall from namespace "${namespace}": ${problem}`,
    'give the namespace of the installation; when that was deleted with the controller in it, add --force',
  )
}
