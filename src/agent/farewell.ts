import { type KubeObject, resources, trustNames } from '../api/index.ts'
import type { Logger } from '../base/index.ts'
import { ApiError, type KubeApi } from '../kube/index.ts'
import { removeConf } from './plugin-installer.ts'
import { isServed } from './socket/plugin-server.ts'

const askBudgetMs = 2_500

export interface FarewellOptions {
  readonly confDir: string
  readonly socketPath: string
  /** Namespace of the product. */
  readonly namespace: string
}

/**
 * For an agent that has ended: takes its configuration file off the node when the product is being uninstalled, since new pods
 * would call an agent that does not come back. An uninstall shows in the controller's ConfigMap: deleted, or no longer ours to
 * read. When it is there (an upgrade, a drain) or the API server does not answer in time, the file stays. Never throws.
 */
export async function removeConfAtUninstall(
  options: FarewellOptions,
  { kube, logger }: { readonly kube: KubeApi; readonly logger: Logger },
): Promise<void> {
  try {
    const sign = await signOfUninstall(options.namespace, kube, AbortSignal.timeout(askBudgetMs))
    // The next agent of the node relies on the file: it found it, and left it as it is.
    if (sign === undefined || (await isServed(options.socketPath))) return
    if (await removeConf(options.confDir)) logger.info('configuration removed from the node', { sign })
  } catch (error) {
    logger.warn('whether the product is being uninstalled is unknown, its configuration stays', {
      err: error,
    })
  }
}

async function signOfUninstall(
  namespace: string,
  kube: KubeApi,
  signal: AbortSignal,
): Promise<string | undefined> {
  const ref = { namespace, name: trustNames.authorities }
  try {
    const found = await kube.get<KubeObject>(resources.configMap, ref, signal)
    return found === undefined ? `ConfigMap ${ref.name} is gone` : undefined
  } catch (error) {
    if (error instanceof ApiError && (error.status === 401 || error.status === 403)) return error.message
    throw error
  }
}
