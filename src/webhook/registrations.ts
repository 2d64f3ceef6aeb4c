import { type KubeObject, type Resource, resources, webhookConfigurationName } from '../api/index.ts'

/** An operation that a webhook is called for. */
export type Operation = 'CREATE' | 'UPDATE' | 'DELETE'

/** One entry of the webhook configurations. */
export interface Registration {
  readonly name: string
  readonly resource: Resource
  readonly mutatePath: string
  readonly validatePath: string
  readonly mutate: readonly Operation[]
  readonly validate: readonly Operation[]
  readonly failurePolicy: 'Fail'
}

/** How the API server reaches the controller. */
export type WebhookTarget =
  | { readonly kind: 'url'; readonly baseUrl: string; readonly caBundle: string }
  | {
      readonly kind: 'service'
      readonly namespace: string
      readonly name: string
      readonly port: number
      readonly caBundle: string
    }

/** Path that answers 200 with no body, for probes. */
export const webhookHealthPath = '/webhook-health-check'
/** How long the API server waits for an answer, in seconds. */
const timeoutSeconds = 10

const withDeletion: readonly Operation[] = ['CREATE', 'UPDATE', 'DELETE']
const withoutDeletion: readonly Operation[] = ['CREATE', 'UPDATE']

/** All kinds that admission looks at, with their paths (spec/webhooks.md §1). */
export const registrations: readonly Registration[] = [
  registration(resources.subnet, withDeletion),
  registration(resources.ipPool, withDeletion),
  registration(resources.reservedIp, withoutDeletion),
  registration(resources.coordinator, withoutDeletion),
  registration(resources.multusConfig, withoutDeletion),
]

/**
 * The MutatingWebhookConfiguration and the ValidatingWebhookConfiguration to install.
 * @param target with `caBundle` in base64
 */
export function webhookConfigurations(target: WebhookTarget): readonly KubeObject[] {
  return [
    configuration('MutatingWebhookConfiguration', target, (entry) => [entry.mutatePath, entry.mutate]),
    configuration('ValidatingWebhookConfiguration', target, (entry) => [entry.validatePath, entry.validate]),
  ]
}

function registration(resource: Resource, validate: readonly Operation[]): Registration {
  const { group, version, kind } = resource
  const tail = `${group.replaceAll('.', '-')}-${version}-${kind.toLowerCase()}`
  return {
    name: `${kind.toLowerCase()}.${group}`,
    resource,
    mutatePath: `/mutate-${tail}`,
    validatePath: `/validate-${tail}`,
    mutate: withoutDeletion,
    validate,
    failurePolicy: 'Fail',
  }
}

function configuration(
  kind: string,
  target: WebhookTarget,
  choose: (entry: Registration) => readonly [path: string, operations: readonly Operation[]],
): KubeObject & { readonly webhooks: readonly unknown[] } {
  const webhooks = registrations.map((entry) => {
    const [path, operations] = choose(entry)
    const { group, version, plural } = entry.resource
    return {
      name: entry.name,
      admissionReviewVersions: ['v1'],
      clientConfig: clientConfig(target, path),
      failurePolicy: entry.failurePolicy,
      rules: [{ apiGroups: [group], apiVersions: [version], operations, resources: [plural], scope: '*' }],
      sideEffects: 'None',
      timeoutSeconds,
    }
  })
  const metadata = { name: webhookConfigurationName }
  return { apiVersion: 'admissionregistration.k8s.io/v1', kind, metadata, webhooks }
}

function clientConfig(target: WebhookTarget, path: string): Readonly<Record<string, unknown>> {
  const { caBundle } = target
  if (target.kind === 'url') return { url: `${target.baseUrl}${path}`, caBundle }
  const { namespace, name, port } = target
  return { service: { namespace, name, port, path }, caBundle }
}
