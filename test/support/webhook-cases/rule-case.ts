// What a case of an admission rule is. The same cases run on the pure review, and on API servers with the controller up and down.

/** The part of an object that a case is about. `{n}` anywhere stands for a number of the case alone: names, networks. */
export interface CaseObject {
  readonly kind: CaseKind
  readonly name: string
  readonly metadata?: {
    readonly labels?: Readonly<Record<string, string>>
    readonly annotations?: Readonly<Record<string, string>>
    readonly ownerReferences?: readonly object[]
  }
  readonly spec?: unknown
  /** Of what is there before. */
  readonly status?: unknown
}

export type CaseKind =
  | 'SpiderIPPool'
  | 'SpiderSubnet'
  | 'SpiderReservedIP'
  | 'SpiderCoordinator'
  | 'SpiderMultusConfig'
  | 'SpiderIPBlock'
  | 'SpiderIPClaim'
  | 'NetworkAttachmentDefinition'
  | 'Pod'

/** What is there before; `awaited`: the controller makes it from the rest. */
export type Given = CaseObject & { readonly awaited?: true }

/** Words of a refusal: the field first, then the value, what is wrong, the other object, the remedy. */
export interface Refusal {
  /** Of the API server by itself, by the schema and CEL of the CRD: also while the webhooks are down. */
  readonly schema?: readonly string[]
  /** Of our webhook. */
  readonly webhook?: readonly string[]
  /** 422 when absent. */
  readonly code?: number
}

/** One case of one rule. */
export interface RuleCase {
  readonly rule: string
  readonly what: string
  readonly given?: readonly Given[]
  /** What the object was: an update, or without `object` a deletion. */
  readonly old?: CaseObject
  readonly object?: CaseObject
  /** Absent: accepted. */
  readonly refused?: Refusal
  /** The controller runs with this family switched off. */
  readonly without?: 'IPv6'
}

/** The case with its number in place of `{n}`. */
export function numbered<T>(value: T, n: number): T {
  return JSON.parse(JSON.stringify(value).replaceAll('{n}', String(n))) as T
}

/** Whether nobody but the webhook can hold the rule in this case, and the API server refuses to go on without it. */
export function failsClosed({ old, object }: RuleCase): boolean {
  if (object === undefined) return false
  if (old === undefined) return object.kind === 'SpiderSubnet'
  const isGuarded = object.kind === 'SpiderSubnet' || object.kind === 'SpiderIPPool'
  return isGuarded && JSON.stringify(object.spec) !== JSON.stringify(old.spec)
}
