import { applicationKeys, groupOf, labelKeys, type SpiderIpPool, type TopOwner } from '../../api/index.ts'

/** What an auto-created pool is for, and what is on top of a pod, as far as the two are compared: not by uid. */
export type Application = Readonly<Record<'group' | 'version' | 'kind' | 'namespace' | 'name', string>>

/** Made for one application, and so bound to it and not to labels of pods (spec/subnet.md, auto-created pools). */
export function isAutoCreated({ metadata }: SpiderIpPool): boolean {
  return metadata.labels?.[labelKeys.ownerApplicationName] !== undefined
}

/** The application that the five keys of spec.podAffinity name; what is not there is ''. */
export function applicationOf({ spec }: SpiderIpPool): Application {
  const labels = spec.podAffinity?.matchLabels ?? {}
  const textOf = (key: string): string => (Object.hasOwn(labels, key) ? (labels[key] ?? '') : '')
  return {
    group: textOf(applicationKeys.group),
    version: textOf(applicationKeys.version),
    kind: textOf(applicationKeys.kind),
    namespace: textOf(applicationKeys.namespace),
    name: textOf(applicationKeys.name),
  }
}

/** True when the owner is the application of the pool. Whoever is not known to own the pod is nobody. */
export function fitsApplication(pool: SpiderIpPool, owner: TopOwner | undefined): boolean {
  if (owner === undefined) return false
  const { kind, namespace, name, group, version } = applicationOf(pool)
  return (
    kind === owner.kind &&
    namespace === owner.namespace &&
    name === owner.name &&
    group === groupOf(owner.apiVersion) &&
    version === versionPart(owner.apiVersion)
  )
}

/** `apps/v1 Deployment default/web`, for messages. */
export function applicationText(one: Application | TopOwner | undefined): string {
  if (one === undefined) return 'not known'
  const { kind, namespace, name } = one
  const apiVersion =
    'apiVersion' in one ? one.apiVersion : one.group === '' ? one.version : `${one.group}/${one.version}`
  return `${apiVersion} ${kind} ${namespace}/${name}`
}

const versionPart = (apiVersion: string): string => apiVersion.slice(apiVersion.indexOf('/') + 1)
