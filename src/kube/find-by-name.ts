import type { KubeObject, Resource } from '../api/index.ts'
import type { KubeApi, ObjectRef } from './kube-api.ts'

/**
 * Reads one object uncached, by a list of one: whoever may list a kind needs no right to get it, for the rare case that a
 * cache has to be checked.
 * @returns undefined when it is not there
 */
export async function findByName<T extends KubeObject>(
  api: Pick<KubeApi, 'list'>,
  resource: Resource,
  { name, namespace }: ObjectRef,
  signal: AbortSignal,
): Promise<T | undefined> {
  const query = { fieldSelector: `metadata.name=${name}`, limit: 1 }
  const { items } = await api.list<T>(
    resource,
    namespace === undefined ? query : { ...query, namespace },
    signal,
  )
  return items[0]
}
