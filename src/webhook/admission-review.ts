/** `admission.k8s.io/v1` AdmissionReview, as far as we read it (Kubernetes documentation, "Dynamic Admission Control"). */
export interface AdmissionReview {
  readonly apiVersion: 'admission.k8s.io/v1'
  readonly kind: 'AdmissionReview'
  readonly response: AdmissionResponse
}

/** What is answered. */
export interface AdmissionResponse {
  readonly uid: string
  readonly allowed: boolean
  /** Base64 of a JSON patch; only with `patchType`. */
  readonly patch?: string
  readonly patchType?: 'JSONPatch'
  readonly status?: RejectionStatus
  readonly warnings?: readonly string[]
}

/** `status` of a refusal. */
export interface RejectionStatus {
  readonly code: number
  readonly reason: string
  readonly message: string
  readonly details?: {
    readonly name: string
    readonly group: string
    readonly kind: string
    readonly causes: readonly { readonly reason: string; readonly message: string; readonly field: string }[]
  }
}

/** A request whose outer form was checked. */
export interface AdmissionRequest {
  readonly uid: string
  readonly kind: string
  readonly name: string
  readonly namespace: string
  readonly operation: 'CREATE' | 'UPDATE' | 'DELETE'
  /** null on DELETE. */
  readonly object: unknown
  /** null on CREATE. */
  readonly oldObject: unknown
}

const operations = ['CREATE', 'UPDATE', 'DELETE'] as const

/** The request in a review's body, or what is wrong with it. Never throws. */
export function readRequest(body: unknown): AdmissionRequest | string {
  const { apiVersion, kind: reviewKind, request } = recordOf(body)
  if (reviewKind !== 'AdmissionReview' || apiVersion !== 'admission.k8s.io/v1') {
    return `the body is no AdmissionReview of admission.k8s.io/v1, but ${String(reviewKind)} of ${String(apiVersion)}`
  }
  const members = recordOf(request)
  const uid = textOf(members['uid'])
  const kind = textOf(recordOf(members['kind'])['kind'])
  if (uid === '' || kind === '') return 'request.uid or request.kind.kind is missing'
  const operation = operations.find((name) => name === members['operation'])
  if (operation === undefined) return `request.operation ${String(members['operation'])} is not known`
  const object = members['object'] ?? null
  const oldObject = members['oldObject'] ?? null
  const metadata = recordOf(recordOf(object ?? oldObject)['metadata'])
  return {
    uid,
    kind,
    operation,
    object,
    oldObject,
    name: textOf(members['name']) || textOf(metadata['name']) || textOf(metadata['generateName']),
    namespace: textOf(members['namespace']) || textOf(metadata['namespace']),
  }
}

/** The uid of any body: the answer to a broken request still names it when it can. */
export function uidOf(body: unknown): string {
  return textOf(recordOf(recordOf(body)['request'])['uid'])
}

/** The members of a JSON object; of anything else none. */
export function recordOf(value: unknown): Readonly<Record<string, unknown>> {
  const isRecord = typeof value === 'object' && value !== null && !Array.isArray(value)
  return isRecord ? (value as Readonly<Record<string, unknown>>) : {}
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}
