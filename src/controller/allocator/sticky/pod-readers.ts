import { type Pod, resources } from '../../../api/index.ts'
import type { KubeApi } from '../../../kube/index.ts'
import type { AllocatorWorld } from '../world.ts'

/** Reads pods from the API server, uncached. */
export function podReaders(
  api: Pick<KubeApi, 'get' | 'listAll'>,
): Pick<AllocatorWorld, 'readPod' | 'readPodByUid'> {
  return {
    readPod: (namespace, name, signal) => api.get<Pod>(resources.pod, { namespace, name }, signal),
    readPodByUid: async (namespace, uid, signal) => {
      const { items } = await api.listAll<Pod>(resources.pod, { namespace }, signal)
      return items.find(({ metadata }) => metadata.uid === uid)
    },
  }
}
