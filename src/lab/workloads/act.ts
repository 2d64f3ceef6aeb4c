import {
  type KubeObject,
  type LabelSelector,
  type OwnerReference,
  type Resource,
  resources,
} from '../../api/index.ts'
import { ApiError, apiVersionOf, type KubeApi } from '../../kube/index.ts'
import { controllerReference, planClaims, selectorText } from './model/claim.ts'
import type { WorkloadPod } from './model/kinds.ts'
import { isSameValue } from './model/names.ts'
import { isFinished } from './model/pod-facts.ts'
import { refOf, type World } from './world.ts'

const writesAtOnce = 8

/** Works on items, at most eight at once, the first alone: what fails for one mostly fails for all. */
export async function forEach<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const [first, ...rest] = items
  if (first === undefined) return
  await work(first)
  const iterator = rest.values()
  const failures: unknown[] = []
  const lane = async () => {
    for (const item of iterator) {
      try {
        await work(item)
      } catch (error) {
        failures.push(error)
        return
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(writesAtOnce, rest.length) }, lane))
  if (failures.length > 0) throw failures[0]
}

/** The owner with the resource it lives in. */
export interface Owner {
  readonly resource: Resource
  readonly object: KubeObject
  readonly selector: LabelSelector | undefined
}

export function referenceTo({ resource, object }: Owner): OwnerReference {
  return controllerReference(object, apiVersionOf(resource), resource.kind)
}

/** Pods of the owner as the cache knows them. Adoption and release wait for a fresh look. */
export function cachedPods(world: World, owner: Owner): readonly WorkloadPod[] {
  return planClaims(owner.object, owner.selector, world.pods.candidatesOf(owner.object)).owned
}

/** True when the cache shows pods to adopt or to release. */
export function hasClaims(world: World, owner: Owner): boolean {
  const claims = planClaims(owner.object, owner.selector, world.pods.candidatesOf(owner.object))
  return claims.adopt.length + claims.release.length > 0
}

/**
 * Pods of the owner, read uncached, with those that it adopts. What creates or deletes pods decides on these alone:
 * a cache that is late would make it create twice.
 *
 * @returns undefined when the owner is gone, or another one has its name
 */
export async function freshPods(
  world: World,
  owner: Owner,
  signal: AbortSignal,
): Promise<readonly WorkloadPod[] | undefined> {
  const { api } = world
  const current = await api.get(owner.resource, refOf(owner.object), signal)
  if (current === undefined || current.metadata.uid !== owner.object.metadata.uid) return undefined
  const { namespace } = owner.object.metadata
  const labelSelector = selectorText(owner.selector ?? {})
  const query = { ...(namespace === undefined ? {} : { namespace }), labelSelector }
  const { items } = await api.listAll<WorkloadPod>(resources.pod, query, signal)
  const claims = planClaims(current, owner.selector, items)
  const adopted: WorkloadPod[] = []
  await forEach(claims.adopt, async (pod) => {
    if (isFinished(pod)) return
    adopted.push(await adopt(api, { resource: resources.pod, object: pod }, referenceTo(owner), signal))
  })
  await releaseAll(world, owner, signal)
  return [...claims.owned, ...adopted]
}

/** Lets go of pods whose labels no longer fit; those can only be seen in the cache, as the list is by label. */
async function releaseAll(world: World, owner: Owner, signal: AbortSignal): Promise<void> {
  const { release } = planClaims(owner.object, owner.selector, world.pods.candidatesOf(owner.object))
  await forEach(release, async (pod) => {
    if (pod.metadata.deletionTimestamp !== undefined) return
    const { uid, resourceVersion, ownerReferences = [] } = pod.metadata
    const left = ownerReferences.filter((reference) => reference.uid !== owner.object.metadata.uid)
    const body = { metadata: { uid, resourceVersion, ownerReferences: left.length === 0 ? null : left } }
    await world.api.patch(resources.pod, refOf(pod), { type: 'merge', body }, signal)
  })
}

/** Makes `owner` the controller of an object that has none. Fails with 409 when the object changed since it was read. */
export async function adopt<T extends KubeObject>(
  api: KubeApi,
  { resource, object }: { readonly resource: Resource; readonly object: T },
  owner: OwnerReference,
  signal: AbortSignal,
): Promise<T> {
  const { uid, resourceVersion, ownerReferences = [] } = object.metadata
  const body = { metadata: { uid, resourceVersion, ownerReferences: [...ownerReferences, owner] } }
  return api.patch<T>(resource, refOf(object), { type: 'merge', body }, signal)
}

/** Writes the members of `status` that differ from what the object has; an undefined one is removed. */
export async function writeStatus(
  world: World,
  owner: { readonly resource: Resource; readonly object: KubeObject & { readonly status?: object } },
  status: object,
  signal: AbortSignal,
): Promise<void> {
  const { resource, object } = owner
  if (isSameValue(object.status ?? {}, { ...object.status, ...status })) return
  const members = Object.fromEntries(Object.entries(status).map(([key, value]) => [key, value ?? null]))
  const body = { metadata: { uid: object.metadata.uid }, status: members }
  try {
    await world.api.patch(resource, refOf(object), { type: 'merge', body, subresource: 'status' }, signal)
  } catch (error) {
    if (!isGone(error)) throw error
  }
}

/** Deletes one pod, if it is still the one that was meant. */
export async function deletePod(world: World, pod: WorkloadPod, signal: AbortSignal): Promise<void> {
  const { uid } = pod.metadata
  try {
    await world.api.delete(resources.pod, refOf(pod), uid === undefined ? {} : { uid }, signal)
  } catch (error) {
    if (!isGone(error)) throw error
  }
}

/** 404: gone. 409: it changed, or another one has the name by now; the change brings the key back. */
export function isGone(error: unknown): boolean {
  return error instanceof ApiError && (error.status === 404 || error.status === 409)
}
