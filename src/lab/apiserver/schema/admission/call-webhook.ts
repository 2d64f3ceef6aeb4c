import { randomUUID } from 'node:crypto'
import { Agent, request as httpsRequest, type RequestOptions } from 'node:https'
import { parseJson, stringifyJson, toError } from '../../../../base/index.ts'
import { isObject, type JsonObject, listAt, objectAt, ownValue, stringAt } from '../record.ts'
import type { AdmissionRequest } from './admission-types.ts'
import type { Webhook } from './webhook.ts'
import { WebhookCallError } from './webhook-call-error.ts'

/** What a webhook answered. */
export interface WebhookAnswer {
  readonly allowed: boolean
  readonly status: JsonObject | undefined
  /** The operations of a JSON patch. */
  readonly patch: unknown
  readonly warnings: readonly string[]
}

const maxAnswerBytes = 4 * 1024 * 1024
const maxWarnings = 32
const maxWarningCharacters = 256
// Kept open: a handshake for each pod of a burst would cost more than the webhook itself.
const agent = new Agent({ keepAlive: true, maxSockets: 16, maxFreeSockets: 4, timeout: 60_000 })

/** Asks one webhook. @throws {WebhookCallError} when no usable answer came: then the failure policy decides */
export async function callWebhook(
  webhook: Webhook,
  request: AdmissionRequest,
  signal: AbortSignal,
): Promise<WebhookAnswer> {
  const uid = randomUUID()
  const body = stringifyJson(reviewOf(uid, request))
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(webhook.timeoutMs)])
  const target = await targetOf(webhook, request)
  try {
    const text = await post(target, body, deadline)
    return readAnswer(text, uid, webhook.name)
  } catch (error) {
    if (error instanceof WebhookCallError && error.webhook !== '') throw error
    const timedOut = deadline.aborted && !signal.aborted
    const cause = timedOut
      ? `no answer within ${webhook.timeoutMs / 1000}s: context deadline exceeded`
      : toError(error).message
    throw new WebhookCallError(webhook.name, `failed to call webhook: Post "${target.shown}": ${cause}`, {
      cause: error,
    })
  }
}

interface Target {
  readonly shown: string
  readonly options: RequestOptions
}

async function targetOf(webhook: Webhook, request: AdmissionRequest): Promise<Target> {
  const { clientConfig, name } = webhook
  const caBundle = stringAt(clientConfig, 'caBundle') ?? ''
  const ca = caBundle === '' ? {} : { ca: Buffer.from(caBundle, 'base64').toString('utf8') }
  const query = `timeout=${webhook.timeoutMs / 1000}s`
  const url = stringAt(clientConfig, 'url')
  if (url !== undefined) {
    if (!URL.canParse(url) || !url.startsWith('https://')) {
      throw new WebhookCallError(name, `clientConfig.url ${JSON.stringify(url)} is not an https URL`)
    }
    const parsed = new URL(url)
    parsed.search = query
    const { hostname, port, pathname, search } = parsed
    const host = hostname.replace(/^\[(.*)\]$/, '$1')
    const options = { host, port: port === '' ? 443 : Number(port), path: `${pathname}${search}`, ...ca }
    return { shown: parsed.href, options }
  }
  const service = objectAt(clientConfig, 'service') ?? {}
  const ref = {
    namespace: stringAt(service, 'namespace') ?? '',
    name: stringAt(service, 'name') ?? '',
    port: portOf(service),
  }
  const address = await request.resolveService(ref)
  if (address === undefined) {
    throw new WebhookCallError(
      name,
      `service ${JSON.stringify(`${ref.namespace}/${ref.name}`)} has no endpoint`,
    )
  }
  const path = `${stringAt(service, 'path') ?? '/'}?${query}`
  const servername = `${ref.name}.${ref.namespace}.svc`
  return {
    shown: `https://${servername}:${ref.port}${path}`,
    options: { ...address, path, servername, headers: { host: servername }, ...ca },
  }
}

function portOf(service: JsonObject): number {
  const port = ownValue(service, 'port')
  return typeof port === 'number' ? port : 443
}

function reviewOf(uid: string, request: AdmissionRequest): JsonObject {
  const { group, version, plural } = request.resource
  const kind = { group, version, kind: request.kind }
  const resource = { group, version, resource: plural }
  const subresource =
    request.subresource === ''
      ? {}
      : { subResource: request.subresource, requestSubResource: request.subresource }
  return {
    kind: 'AdmissionReview',
    apiVersion: 'admission.k8s.io/v1',
    request: {
      uid,
      kind,
      resource,
      requestKind: kind,
      requestResource: resource,
      ...subresource,
      name: request.name,
      ...(request.namespace === undefined ? {} : { namespace: request.namespace }),
      operation: request.operation,
      userInfo: request.userInfo,
      object: request.object ?? null,
      oldObject: request.oldObject ?? null,
      dryRun: request.dryRun,
      options: request.options ?? null,
    },
  }
}

/** Sends once; again when a kept connection turns out to be closed by the other side. */
async function post(target: Target, body: string, signal: AbortSignal): Promise<string> {
  try {
    return await send(target, body, signal)
  } catch (error) {
    if (!(error instanceof StaleConnection)) throw error
    return send(target, body, signal)
  }
}

class StaleConnection extends WebhookCallError {}

function send(target: Target, body: string, signal: AbortSignal): Promise<string> {
  const headers = {
    ...target.options.headers,
    'content-type': 'application/json',
    accept: 'application/json',
    'content-length': Buffer.byteLength(body),
  }
  return new Promise((resolve, reject) => {
    const request = httpsRequest(
      { ...target.options, method: 'POST', agent, signal, headers },
      (response) => {
        const chunks: Buffer[] = []
        let bytes = 0
        response.on('data', (chunk: Buffer) => {
          bytes += chunk.length
          chunks.push(chunk)
          if (bytes > maxAnswerBytes)
            request.destroy(new WebhookCallError('', `the answer is over ${maxAnswerBytes} bytes`))
        })
        response.on('error', reject)
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString('utf8')
          if (response.statusCode === 200) resolve(text)
          else reject(new WebhookCallError('', `status ${response.statusCode ?? 0}: ${text.slice(0, 200)}`))
        })
      },
    )
    request.on('error', (error: Error & { readonly code?: string }) => {
      const isStale = request.reusedSocket && error.code === 'ECONNRESET'
      reject(isStale ? new StaleConnection('', error.message, { cause: error }) : error)
    })
    request.end(body)
  })
}

function readAnswer(text: string, uid: string, name: string): WebhookAnswer {
  const malformed = (problem: string): never => {
    throw new WebhookCallError(name, `received invalid webhook response: ${problem}`)
  }
  let review: unknown
  try {
    review = parseJson(text)
  } catch (error) {
    return malformed(toError(error).message)
  }
  if (
    stringAt(review, 'kind') !== 'AdmissionReview' ||
    stringAt(review, 'apiVersion') !== 'admission.k8s.io/v1'
  ) {
    return malformed('it is not an AdmissionReview of admission.k8s.io/v1')
  }
  const response = objectAt(review, 'response')
  if (response === undefined) return malformed('response is missing')
  if (stringAt(response, 'uid') !== uid) {
    return malformed(
      `expected response.uid=${JSON.stringify(uid)}, got ${JSON.stringify(ownValue(response, 'uid'))}`,
    )
  }
  const allowed = ownValue(response, 'allowed')
  if (typeof allowed !== 'boolean') return malformed('response.allowed is not a boolean')
  const warnings = listAt(response, 'warnings').slice(0, maxWarnings)
  return {
    allowed,
    status: objectAt(response, 'status'),
    patch: readPatch(response, malformed),
    warnings: warnings.map((warning) => String(warning).slice(0, maxWarningCharacters)),
  }
}

function readPatch(response: JsonObject, malformed: (problem: string) => never): unknown {
  const patch = stringAt(response, 'patch') ?? ''
  if (patch === '') return undefined
  if (stringAt(response, 'patchType') !== 'JSONPatch') return malformed('response.patchType is not JSONPatch')
  try {
    const parsed = parseJson(Buffer.from(patch, 'base64').toString('utf8'))
    return Array.isArray(parsed) || isObject(parsed) ? parsed : malformed('response.patch is not a list')
  } catch (error) {
    return malformed(`response.patch: ${toError(error).message}`)
  }
}
