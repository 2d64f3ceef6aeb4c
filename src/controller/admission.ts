import {
  type BlockEntry,
  claimOfOwner,
  type KubeObject,
  type NetworkAttachmentDefinition,
  type Resource,
  resources,
  type SpiderIpBlock,
  type SpiderIpPool,
  type SpiderMultusConfig,
  type SpiderSubnet,
} from '../api/index.ts'
import { InvalidInputError, OperationError, parseJson, stringifyJson, toError } from '../base/index.ts'
import { ApiError, type KubeApi } from '../kube/index.ts'
import { readEntry } from '../ledger/index.ts'
import type { Route, RouteReply, RouteRequest } from '../rpc/index.ts'
import {
  type AdmissionReview,
  asksForNetworks,
  type InjectionWorld,
  needsOf,
  type ReviewMode,
  registrations,
  review,
  type UsedIp,
  type WebhookSettings,
  type WebhookTarget,
  type WebhookWorld,
  type WorldNeeds,
  webhookConfigurations,
  webhookHealthPath,
} from '../webhook/index.ts'
import type { Caches } from './caches.ts'

/** An AdmissionReview carries the object twice; the API server takes objects of up to 1.5 MiB. */
const maxReviewBytes = 4 * 1024 * 1024
const reviewDeadlineMs = 8_000

/**
 * The webhook routes of a replica. Every replica serves them: what a rule needs is read uncached from the API server, the
 * addresses in use from the blocks, so that a replica that does not lead judges by the same truth.
 */
export function admissionRoutes(
  api: KubeApi,
  settings: WebhookSettings,
  caches: NetworkCaches,
): readonly Route[] {
  const route = (path: string, mode: ReviewMode): Route => ({
    method: 'POST',
    path,
    maxBodyBytes: maxReviewBytes,
    deadlineMs: reviewDeadlineMs,
    handle: (request, signal) => answer({ mode, api, settings, caches }, request, signal),
  })
  const health: Route = {
    method: 'GET',
    path: webhookHealthPath,
    maxBodyBytes: 0,
    deadlineMs: reviewDeadlineMs,
    handle: () => Promise.resolve({ status: 200, body: '' }),
  }
  const perKind = registrations.flatMap(({ mutatePath, validatePath }) => [
    route(mutatePath, 'mutate'),
    ...(validatePath === undefined ? [] : [route(validatePath, 'validate')]),
  ])
  return [health, ...perKind]
}

/** Of the replica: what an operator configured before a pod comes. */
export type NetworkCaches = Pick<Caches, 'namespaces'>

interface Reviewer {
  readonly mode: ReviewMode
  readonly api: KubeApi
  readonly settings: WebhookSettings
  readonly caches: NetworkCaches
}

async function answer(reviewer: Reviewer, request: RouteRequest, signal: AbortSignal): Promise<RouteReply> {
  const { mode, settings } = reviewer
  let body: unknown
  try {
    body = parseJson(request.body.toString('utf8'))
  } catch (error) {
    return { status: 400, body: `Cannot read the AdmissionReview: ${toError(error).message}; send JSON\n` }
  }
  try {
    const world = await readWorld(needsOf(mode, body, settings), reviewer, signal)
    return { status: 200, body: stringifyJson(review(mode, body, world)) }
  } catch (error) {
    if (!signal.aborted && !(error instanceof ApiError)) throw error
    return { status: 200, body: stringifyJson(notNow(body, toError(error).message)) }
  }
}

/**
 * The one who writes the object learns why it was refused; of an HTTP error the API server tells next to nothing. A pod is never
 * refused for our own trouble.
 */
function notNow(body: unknown, problem: string): AdmissionReview {
  const { request } = (body ?? {}) as {
    readonly request?: { readonly uid?: string; readonly kind?: unknown }
  }
  const { kind } = (request?.kind ?? {}) as { readonly kind?: unknown }
  const message = `cannot be checked now: ${problem.replace(/\.$/, '')}; repeat it when the API server answers again`
  const uid = request?.uid ?? ''
  const response =
    kind === resources.pod.kind
      ? { uid, allowed: true, warnings: [`networks and resources of Spiderpool ${message}`.slice(0, 250)] }
      : { uid, allowed: false, status: { code: 503, reason: 'ServiceUnavailable', message } }
  return { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response }
}

async function readWorld(
  needs: WorldNeeds,
  { api, settings, caches }: Reviewer,
  signal: AbortSignal,
): Promise<WebhookWorld> {
  const all = async <T extends KubeObject>(isNeeded: boolean, resource: Resource): Promise<readonly T[]> =>
    isNeeded ? (await api.listAll<T>(resource, {}, signal)).items : []
  const [pools, subnets, usedIps, attachment, injection] = await Promise.all([
    all<SpiderIpPool>(needs.pools, resources.ipPool),
    all<SpiderSubnet>(needs.subnets, resources.subnet),
    needs.usedIpsOf === undefined ? [] : usedIpsOf(needs.usedIpsOf, api, signal),
    needs.attachment === undefined
      ? undefined
      : api.get<NetworkAttachmentDefinition>(resources.networkAttachmentDefinition, needs.attachment, signal),
    needs.injectionInto === undefined
      ? undefined
      : injectionWorld(needs.injectionInto, { api, settings, caches }, signal),
  ])
  return {
    settings,
    pools,
    subnets,
    usedIps,
    ...(attachment === undefined ? {} : { attachment }),
    ...(injection === undefined ? {} : { injection }),
  }
}

/** A claim may hold an address that no pod uses. */
function holderTextOf(entry: BlockEntry): string {
  const claim = entry.pod === '' ? claimOfOwner(entry.owner) : undefined
  return claim === undefined ? `pod "${entry.pod}"` : `${claim.kind} "${claim.namespace}/${claim.name}"`
}

/** The namespace from a cache, as every pod asks for it; the networks for those pods alone that want some. */
async function injectionWorld(
  { namespace: name, pod }: NonNullable<WorldNeeds['injectionInto']>,
  { api, settings, caches: { namespaces } }: Pick<Reviewer, 'api' | 'settings' | 'caches'>,
  signal: AbortSignal,
): Promise<InjectionWorld> {
  await namespaces.synced(signal)
  const namespace = namespaces.get({ name })
  const { podInject } = settings
  if (podInject === undefined || !asksForNetworks(pod, namespace, podInject))
    return { namespace, configs: [] }
  const { items } = await api.listAll<SpiderMultusConfig>(resources.multusConfig, {}, signal)
  return { namespace, configs: items }
}

// A block with all its entries is some 25 KiB.
const blockPage = 50

async function usedIpsOf(
  wanted: NonNullable<WorldNeeds['usedIpsOf']>,
  api: KubeApi,
  signal: AbortSignal,
): Promise<readonly UsedIp[]> {
  const used = new Map<string, readonly UsedIp[]>()
  const keep = ({ metadata, spec }: SpiderIpBlock): SpiderIpBlock => {
    const ofPool = Object.entries(spec.entries ?? {}).flatMap(([ip, stored]) => {
      const entry = readEntry(stored)
      // What cannot be read may be of any pool.
      if (entry === undefined) return [{ ip, holder: 'a record that cannot be read' }]
      return typeof wanted === 'object' || entry.pool === wanted ? [{ ip, holder: holderTextOf(entry) }] : []
    })
    used.set(metadata.name, ofPool)
    return { metadata, spec: { cidr: '', term: 0 } }
  }
  const { items } = await api.listAll<SpiderIpBlock>(resources.ipBlock, { limit: blockPage, keep }, signal)
  return items.flatMap(({ metadata }) => used.get(metadata.name) ?? [])
}

/** The installation makes the two objects, empty; only then there is something to fill. */
export class WebhooksMissingError extends OperationError {
  override readonly code = 'WEBHOOKS_MISSING'
  override readonly retry = 'later'
}

/**
 * Fills or repairs both webhook configurations; their other fields stay as they are.
 * @throws {WebhooksMissingError}
 */
export async function installWebhooks(
  target: WebhookTarget,
  settings: WebhookSettings,
  api: KubeApi,
  signal: AbortSignal,
): Promise<void> {
  for (const wanted of webhookConfigurations(target, settings)) {
    const resource = configurationResource(wanted.kind ?? '')
    const { name } = wanted.metadata
    if ((await api.get(resource, { name }, signal)) === undefined) {
      const hint = 'Install it again: helm upgrade, or kubectl apply -f manifests/install.yaml'
      throw new WebhooksMissingError(`Cannot keep webhooks: there is no ${resource.kind} "${name}"`, hint)
    }
    const { webhooks } = wanted as KubeObject & { readonly webhooks?: unknown }
    await api.patch(resource, { name }, { type: 'merge', body: { webhooks } }, signal)
  }
}

function configurationResource(kind: string): Resource {
  const plurals: Readonly<Record<string, string>> = {
    MutatingWebhookConfiguration: 'mutatingwebhookconfigurations',
    ValidatingWebhookConfiguration: 'validatingwebhookconfigurations',
  }
  const plural = plurals[kind]
  if (plural === undefined) {
    throw new InvalidInputError('kind', kind, 'is no webhook configuration', 'see the list of registrations')
  }
  return { group: 'admissionregistration.k8s.io', version: 'v1', plural, kind, namespaced: false }
}
