import { userInfo } from '../auth/identity.ts'
import type { ServerContext } from '../context.ts'
import type { ResourcePath } from '../http/request-path.ts'
import type { Kind } from '../kinds/kind.ts'
import { type ApiObject, parseObject } from '../object.ts'
import type { ServiceAddress, ServiceRef } from '../schema/admission/admission-types.ts'
import { admit } from '../schema/admission/admit.ts'
import { isObject, type JsonObject, listAt, objectAt, ownValue, stringAt } from '../schema/record.ts'
import { StatusError } from '../status.ts'
import { recordKey } from '../store/record.ts'
import type { Call } from './call.ts'

export interface Admission {
  readonly operation: 'CREATE' | 'UPDATE' | 'DELETE'
  readonly kind: Kind
  readonly path: ResourcePath
  readonly object: ApiObject | undefined
  readonly oldObject: ApiObject | undefined
  readonly dryRun: boolean
}

const configurations = {
  mutating: 'admissionregistration.k8s.io/mutatingwebhookconfigurations',
  validating: 'admissionregistration.k8s.io/validatingwebhookconfigurations',
} as const

/** Whether a request has to wait for webhooks at all. */
export function hasWebhooks(context: ServerContext, phase: 'mutating' | 'validating'): boolean {
  return context.store.count(configurations[phase]) > 0
}

/**
 * Puts a request before the webhooks of one phase.
 * @returns the object to go on with
 * @throws {StatusError} when a webhook refuses, or fails and must not
 */
export async function callWebhooks(
  context: ServerContext,
  call: Call,
  phase: 'mutating' | 'validating',
  admission: Admission,
): Promise<ApiObject | undefined> {
  if (!hasWebhooks(context, phase)) return admission.object
  const { operation, kind, path, object, oldObject, dryRun } = admission
  const name = path.name === '' ? (object?.metadata.name ?? '') : path.name
  const namespaceName = kind.plural === 'namespaces' && kind.group === '' ? name : path.namespace
  const namespace = context.store.get('/namespaces', namespaceName)
  const outcome = await admit(
    phase,
    {
      operation,
      resource: { group: kind.group, version: path.version, plural: kind.plural },
      kind: kind.kind,
      subresource: path.subresource,
      name,
      namespace: kind.namespaced ? path.namespace : undefined,
      namespaceLabels: namespace?.object.metadata.labels ?? {},
      object,
      oldObject,
      userInfo: userInfo(call.identity),
      dryRun,
      options: undefined,
      resolveService: (service) => Promise.resolve(serviceAddress(context, service)),
    },
    context.store.list(configurations[phase]).map((record) => record.object),
    call.signal,
  )
  if (outcome.kind === 'denied') throw deniedError(outcome.status)
  call.warnings.push(...outcome.warnings)
  if (outcome.object === undefined || object === undefined) return object
  return parseObject(outcome.object, { apiVersion: object.apiVersion, kind: object.kind })
}

/** The answer of a webhook as it came, details and all. */
class DeniedError extends StatusError {
  readonly #body: JsonObject
  constructor(status: { readonly code: number; readonly reason: string; readonly message: string }) {
    super(status.code, status.reason, status.message)
    this.#body = { ...status }
  }

  override toStatus(): JsonObject {
    return this.#body
  }
}

function deniedError(status: { code: number; reason: string; message: string }): StatusError {
  return new DeniedError(status)
}

// There is no service network here: a Service leads to the first address of its Endpoints.
function serviceAddress(context: ServerContext, service: ServiceRef): ServiceAddress | undefined {
  const key = recordKey(service.namespace, service.name)
  const subset = listAt(context.store.get('/endpoints', key)?.object, 'subsets')[0]
  const host = stringAt(listAt(subset, 'addresses')[0], 'ip')
  if (host === undefined) return undefined
  const spec = objectAt(context.store.get('/services', key)?.object, 'spec')
  const wanted = listAt(spec, 'ports').find(
    (port) => isObject(port) && ownValue(port, 'port') === service.port,
  )
  const portName = stringAt(wanted, 'name')
  const ports = listAt(subset, 'ports').filter(isObject)
  const found = ports.find((port) => stringAt(port, 'name') === portName) ?? ports[0]
  const port = found === undefined ? undefined : ownValue(found, 'port')
  return { host, port: typeof port === 'number' ? port : service.port }
}
