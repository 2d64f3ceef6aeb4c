import type { KubeObject, OwnerReference } from '../../../api/index.ts'
import { controllerOf, isEmptySelector, type LabelSelector, matchesSelector } from '../../../api/index.ts'

/** What an owner does with objects that may be its own. */
export interface Claims<T> {
  /** Controlled by the owner and selected by it. */
  readonly owned: readonly T[]
  /** Selected, and nobody's. */
  readonly adopt: readonly T[]
  /** Controlled by the owner, but its labels have changed. */
  readonly release: readonly T[]
}

/** Sorts candidates by uid of their controller, then by label. An owner that is being deleted adopts nothing. */
export function planClaims<T extends KubeObject>(
  owner: KubeObject,
  selector: LabelSelector | undefined,
  candidates: Iterable<T>,
): Claims<T> {
  const owned: T[] = []
  const adopt: T[] = []
  const release: T[] = []
  const isSelective = selector !== undefined && !isEmptySelector(selector)
  for (const candidate of candidates) {
    const controller = controllerOf(candidate.metadata)
    const isSelected = isSelective && matchesSelector(selector, candidate.metadata.labels)
    if (controller?.uid === owner.metadata.uid && controller !== undefined) {
      if (isSelected) owned.push(candidate)
      else release.push(candidate)
    } else if (controller === undefined && isSelected && isFree(candidate) && isFree(owner)) {
      adopt.push(candidate)
    }
  }
  return { owned, adopt, release }
}

const isFree = (object: KubeObject): boolean => object.metadata.deletionTimestamp === undefined

/** The reference by which `owner` controls an object. */
export function controllerReference(owner: KubeObject, apiVersion: string, kind: string): OwnerReference {
  const { name, uid = '' } = owner.metadata
  return { apiVersion, kind, name, uid, controller: true, blockOwnerDeletion: true }
}

/** A label selector as the query of a list. */
export function selectorText(selector: LabelSelector): string {
  const equals = Object.entries(selector.matchLabels ?? {}).map(([key, value]) => `${key}=${value}`)
  const others = (selector.matchExpressions ?? []).map(({ key, operator, values = [] }) => {
    if (operator === 'In') return `${key} in (${values.join(',')})`
    if (operator === 'NotIn') return `${key} notin (${values.join(',')})`
    return operator === 'Exists' ? key : `!${key}`
  })
  return [...equals, ...others].join(',')
}
