import { type KubeObject, resources, trustNames } from '../api/index.ts'
import type { KubeApi } from '../kube/index.ts'

interface ConfigMap extends KubeObject {
  readonly data?: Readonly<Record<string, string>>
}

/** Reads the authorities of the controller's certificate, PEM, where its leader publishes them. @returns '' when it has not yet */
export async function readAuthorities(api: KubeApi, namespace: string, signal: AbortSignal): Promise<string> {
  const ref = { namespace, name: trustNames.authorities }
  const found = await api.get<ConfigMap>(resources.configMap, ref, signal)
  return found?.data?.[trustNames.authoritiesKey] ?? ''
}
