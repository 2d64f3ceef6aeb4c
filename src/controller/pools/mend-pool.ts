import {
  cidrLabel,
  labelKeys,
  resources,
  type SpiderIpPool,
  spiderFinalizer,
  versionOf,
} from '../../api/index.ts'
import { InvalidInputError } from '../../base/index.ts'
import { ApiError, type KubeApi } from '../../kube/index.ts'

/**
 * Gives a pool what the webhook gives, when it was stored while the webhooks were away: finalizer, family, label.
 * @param pool from the cache
 */
export async function mendPool(pool: SpiderIpPool, api: KubeApi, signal: AbortSignal): Promise<void> {
  const { name, resourceVersion, deletionTimestamp, finalizers = [], labels = {} } = pool.metadata
  if (deletionTimestamp !== undefined) return
  const family = familyOf(pool)
  if (family === undefined) return
  const label = cidrLabel(pool.spec.subnet)
  const isLabelled = label === undefined || labels[labelKeys.poolCidr] === label
  const hasFinalizer = finalizers.includes(spiderFinalizer)
  if (hasFinalizer && isLabelled && pool.spec.ipVersion !== undefined) return
  const body = {
    metadata: {
      resourceVersion,
      ...(hasFinalizer ? {} : { finalizers: [...finalizers, spiderFinalizer] }),
      ...(isLabelled ? {} : { labels: { [labelKeys.poolCidr]: label } }),
    },
    ...(pool.spec.ipVersion === undefined ? { spec: { ipVersion: family } } : {}),
  }
  try {
    await api.patch(resources.ipPool, { name }, { type: 'merge', body }, signal)
  } catch (error) {
    // Gone, or changed: the change brings it here again. Refused: what is wrong with it is shown in its status.
    const passes = error instanceof ApiError && [404, 409, 422].includes(error.status)
    if (!passes) throw error
  }
}

function familyOf({ spec }: SpiderIpPool): 4 | 6 | undefined {
  try {
    return versionOf(spec)
  } catch (error) {
    if (error instanceof InvalidInputError) return undefined
    throw error
  }
}
