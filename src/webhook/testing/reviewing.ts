import { type AdmissionResponse, recordOf } from '../admission-review.ts'
import { type ReviewMode, review } from '../review.ts'
import type { WebhookSettings, WebhookWorld } from '../world.ts'

// What the tests of this room share: bodies of reviews, a quiet world, and patches carried out.

export const settings: WebhookSettings = {
  enableIPv4: true,
  enableIPv6: true,
  enableSpiderSubnet: true,
  guardDeletion: false,
}
export const emptyWorld: WebhookWorld = { settings, pools: [], subnets: [], usedIps: [] }

export interface Case {
  readonly kind: string
  readonly operation?: 'CREATE' | 'UPDATE' | 'DELETE'
  readonly object?: unknown
  readonly oldObject?: unknown
  readonly world?: Partial<WebhookWorld> | undefined
}

/** The body that the API server sends. */
export function bodyOf({ kind, object = null, oldObject = null, ...rest }: Case): unknown {
  const operation = rest.operation ?? (oldObject === null ? 'CREATE' : 'UPDATE')
  const metadata = recordOf(recordOf(object ?? oldObject)['metadata'])
  return {
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    request: {
      uid: 'request-1',
      kind: { group: 'spiderpool.spidernet.io', version: 'v2beta1', kind },
      name: metadata['name'],
      namespace: metadata['namespace'],
      operation,
      object,
      oldObject,
    },
  }
}

/** The answer to one case. */
export function answer(mode: ReviewMode, item: Case): AdmissionResponse {
  return review(mode, bodyOf(item), { ...emptyWorld, ...item.world }).response
}

/** The object after the mutation, as the API server makes it. */
export function patched(item: Case): Record<string, unknown> {
  const { patch } = answer('mutate', item)
  const object = structuredClone(recordOf(item.object)) as Record<string, unknown>
  const operations: unknown = patch === undefined ? [] : JSON.parse(Buffer.from(patch, 'base64').toString())
  if (!Array.isArray(operations)) return object
  for (const operation of operations) applyOperation(object, recordOf(operation))
  return object
}

function applyOperation(object: Record<string, unknown>, operation: Readonly<Record<string, unknown>>): void {
  const names = String(operation['path'])
    .split('/')
    .slice(1)
    .map((name) => name.replaceAll('~1', '/').replaceAll('~0', '~'))
  const last = names.pop() ?? ''
  let parent = object
  for (const name of names) parent = parent[name] as Record<string, unknown>
  if (operation['op'] === 'remove') delete parent[last]
  else parent[last] = operation['value']
}

/** Mutated first, then validated, as the API server does. */
export function admit(item: Case): AdmissionResponse {
  return answer('validate', { ...item, object: patched(item) })
}

/** An object of one of our kinds. */
export function ours(
  kind: string,
  name: string,
  spec: unknown,
  metadata: object = {},
): Record<string, unknown> {
  return { apiVersion: 'spiderpool.spidernet.io/v2beta1', kind, metadata: { name, ...metadata }, spec }
}
