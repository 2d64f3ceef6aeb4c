import { InvalidInputError, toError } from '../../../../base/index.ts'
import { jsonPatch } from '../patch/json-patch.ts'
import { isObject, type JsonObject, ownValue, stringAt } from '../record.ts'
import type { AdmissionOutcome, AdmissionRequest, AdmissionStatus } from './admission-types.ts'
import { callWebhook, type WebhookAnswer } from './call-webhook.ts'
import { matchesConditions } from './match-conditions.ts'
import { readWebhooks, type Webhook, wants } from './webhook.ts'
import { WebhookCallError } from './webhook-call-error.ts'

/**
 * Puts a request before the webhooks that want it: mutating ones one after the other, validating ones all at once.
 * @param configurations the Mutating- or ValidatingWebhookConfiguration objects, as `phase` says
 * @returns the object to store, or the Status to answer; a webhook that fails counts by its failurePolicy
 */
export async function admit(
  phase: 'mutating' | 'validating',
  request: AdmissionRequest,
  configurations: readonly JsonObject[],
  signal: AbortSignal,
): Promise<AdmissionOutcome> {
  // Or else a broken configuration could keep itself from being repaired.
  if (request.resource.group === 'admissionregistration.k8s.io') return allowed(request.object, [])
  const webhooks = findWebhooks(configurations)
  if (webhooks instanceof InvalidInputError) return internalError(`${webhooks.message}; ${webhooks.hint}`)
  return phase === 'mutating' ? mutate(webhooks, request, signal) : validate(webhooks, request, signal)
}

/** A configuration that cannot be read must not be taken for one without webhooks. */
function findWebhooks(configurations: readonly JsonObject[]): readonly Webhook[] | InvalidInputError {
  try {
    return readWebhooks(configurations)
  } catch (error) {
    if (error instanceof InvalidInputError) return error
    throw error
  }
}

const allowed = (object: JsonObject | undefined, warnings: readonly string[]): AdmissionOutcome => ({
  kind: 'allowed',
  object,
  warnings,
})

async function mutate(
  webhooks: readonly Webhook[],
  request: AdmissionRequest,
  signal: AbortSignal,
): Promise<AdmissionOutcome> {
  let object = request.object
  const warnings: string[] = []
  for (const webhook of webhooks) {
    const current = { ...request, object }
    if (!wants(webhook, current)) continue
    const verdict = await ask(webhook, current, signal)
    if (verdict.kind === 'denied') return verdict
    warnings.push(...verdict.warnings)
    if (verdict.patch === undefined || object === undefined) continue
    try {
      const patched: unknown = jsonPatch(object, verdict.patch)
      if (!isObject(patched))
        return internalError(`webhook ${JSON.stringify(webhook.name)}: the patch leaves no object`)
      object = patched
    } catch (error) {
      return internalError(`webhook ${JSON.stringify(webhook.name)}: ${toError(error).message}`)
    }
  }
  return allowed(object, warnings)
}

async function validate(
  webhooks: readonly Webhook[],
  request: AdmissionRequest,
  signal: AbortSignal,
): Promise<AdmissionOutcome> {
  const asked = webhooks.filter((webhook) => wants(webhook, request))
  const verdicts = await Promise.all(asked.map((webhook) => ask(webhook, request, signal)))
  const denied = verdicts.find((verdict) => verdict.kind === 'denied')
  if (denied !== undefined) return denied
  const warnings = verdicts.flatMap((verdict) => (verdict.kind === 'passed' ? verdict.warnings : []))
  return allowed(request.object, warnings)
}

type Verdict =
  | { readonly kind: 'passed'; readonly patch: unknown; readonly warnings: readonly string[] }
  | { readonly kind: 'denied'; readonly status: AdmissionStatus }

const unasked: Verdict = { kind: 'passed', patch: undefined, warnings: [] }

async function ask(webhook: Webhook, request: AdmissionRequest, signal: AbortSignal): Promise<Verdict> {
  const match = matchesConditions(webhook.conditions, request)
  if (match.kind === 'no-match') return unasked
  try {
    if (match.kind === 'broken') throw new WebhookCallError(webhook.name, `matchCondition ${match.why}`)
    const answer = await callWebhook(webhook, request, signal)
    if (answer.allowed) return { kind: 'passed', patch: answer.patch, warnings: answer.warnings }
    return { kind: 'denied', status: denialOf(webhook.name, answer) }
  } catch (error) {
    if (!(error instanceof WebhookCallError)) throw error
    return webhook.failsOpen ? unasked : internalError(error.message)
  }
}

function denialOf(name: string, { status }: WebhookAnswer): AdmissionStatus {
  const code = isObject(status) ? ownValue(status, 'code') : undefined
  const text = stringAt(status, 'message') ?? stringAt(status, 'reason')
  const who = `admission webhook ${JSON.stringify(name)} denied the request`
  const details = isObject(status) ? ownValue(status, 'details') : undefined
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message: text === undefined || text === '' ? `${who} without explanation` : `${who}: ${text}`,
    reason: stringAt(status, 'reason') ?? 'Forbidden',
    code: typeof code === 'number' && code >= 400 && code < 600 ? code : 403,
    ...(isObject(details) ? { details } : {}),
  }
}

function internalError(problem: string): { readonly kind: 'denied'; readonly status: AdmissionStatus } {
  const message = `Internal error occurred: ${problem}`
  const status = {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message,
    reason: 'InternalError',
    code: 500,
  } as const
  return { kind: 'denied', status }
}
