/** One kind of resource at the API server, as in its REST path. */
export interface Resource {
  readonly group: string // '' is the core group
  readonly version: string
  readonly plural: string
  readonly kind: string
  readonly namespaced: boolean
}

/** `metadata.ownerReferences[]`. */
export interface OwnerReference {
  readonly apiVersion: string
  readonly kind: string
  readonly name: string
  readonly uid: string
  readonly controller?: boolean
  readonly blockOwnerDeletion?: boolean
}

/** `metadata` as far as we read it. Unknown fields stay in the object: never write back a parsed object that we do not own. */
export interface ObjectMeta {
  readonly name: string
  readonly namespace?: string
  readonly generateName?: string
  readonly uid?: string
  readonly resourceVersion?: string // opaque: compare for equality alone
  readonly generation?: number
  readonly creationTimestamp?: string
  readonly deletionTimestamp?: string
  readonly deletionGracePeriodSeconds?: number
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
  readonly finalizers?: readonly string[]
  readonly ownerReferences?: readonly OwnerReference[]
}

/** Any object of the Kubernetes API. */
export interface KubeObject {
  readonly apiVersion?: string
  readonly kind?: string
  readonly metadata: ObjectMeta
}

/** LabelSelector of meta/v1. */
export interface LabelSelector {
  readonly matchLabels?: Readonly<Record<string, string>>
  readonly matchExpressions?: readonly LabelExpression[]
}

export interface LabelExpression {
  readonly key: string
  readonly operator: string // In, NotIn, Exists, DoesNotExist
  readonly values?: readonly string[]
}
