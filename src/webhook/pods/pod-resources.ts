import type { SpiderMultusConfig } from '../../api/index.ts'
import { recordOf } from '../admission-review.ts'

/** A pod as it came, of any form. */
export type PodObject = Readonly<Record<string, unknown>>

/** Extended resources and how many of each. */
export type Amounts = ReadonlyMap<string, number>

/** Interfaces of the node that a network stands on. */
export function mastersOf({ spec }: SpiderMultusConfig): readonly string[] {
  const { cniType = 'custom', macvlan, ipvlan, vlan, ipoib } = spec
  if (cniType === 'macvlan' || cniType === 'ipvlan' || cniType === 'vlan')
    return { macvlan, ipvlan, vlan }[cniType]?.master ?? []
  const master = recordOf(ipoib)['master']
  return cniType === 'ipoib' && typeof master === 'string' && master !== '' ? [master] : []
}

/**
 * Adds resources to the first container, but for those that some container asks for already.
 * @param where `limits` alone (requests follow by the API's defaults), or both
 */
export function withAmounts(pod: PodObject, amounts: Amounts, where: 'limits' | 'both'): PodObject {
  const spec = recordOf(pod['spec'])
  const containers: readonly unknown[] = Array.isArray(spec['containers']) ? spec['containers'] : []
  const [first, ...others] = containers
  const isAsked = (name: string): boolean =>
    containers.some((container) => {
      const { limits, requests } = recordOf(recordOf(container)['resources'])
      const inLimits = Object.hasOwn(recordOf(limits), name)
      return inLimits || (where === 'both' && Object.hasOwn(recordOf(requests), name))
    })
  const missing = [...amounts].filter(([name]) => !isAsked(name))
  if (first === undefined || missing.length === 0) return pod
  const added = Object.fromEntries(missing.map(([name, count]) => [name, String(count)]))
  const resources = recordOf(recordOf(first)['resources'])
  const changed = {
    ...resources,
    limits: { ...recordOf(resources['limits']), ...added },
    ...(where === 'limits' ? {} : { requests: { ...recordOf(resources['requests']), ...added } }),
  }
  return { ...pod, spec: { ...spec, containers: [{ ...recordOf(first), resources: changed }, ...others] } }
}
