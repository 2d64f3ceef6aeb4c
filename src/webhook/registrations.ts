import { type KubeObject, type Resource, resources, webhookConfigurationName } from '../api/index.ts'
import type { WebhookSettings } from './world.ts'

/** An operation that a webhook is called for. */
export type Operation = 'CREATE' | 'UPDATE' | 'DELETE'

/** A kind that admission looks at, and where it is asked. */
export interface Registration {
  readonly name: string
  readonly resource: Resource
  readonly mutatePath: string
  /** Absent: nothing of this kind is ever refused by validation. */
  readonly validatePath?: string
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
/** The same for pods: what is waited for here is added to the start of every pod. */
const podTimeoutSeconds = 5
/** The pods of the control plane must start whatever we do. */
const controlPlaneNamespace = 'kube-system'
/** The label that the API server puts on every namespace. */
const namespaceNameLabel = 'kubernetes.io/metadata.name'

/** One `webhooks[]` of a configuration, but for how to reach it. */
interface Hook {
  readonly name: string
  readonly resource: Resource
  readonly path: string
  readonly operations: readonly Operation[]
  readonly failurePolicy: 'Ignore' | 'Fail'
  readonly matchConditions?: readonly { readonly name: string; readonly expression: string }[]
  readonly namespaceSelector?: object
}

const subnets = registration(resources.subnet)
const pools = registration(resources.ipPool)
const reservedIps = registration(resources.reservedIp)
const coordinators = registration(resources.coordinator)
const multusConfigs = registration(resources.multusConfig)
const ipClaims = registration(resources.ipClaim)
const pods: Registration = {
  name: 'pods.spiderpool.spidernet.io',
  resource: resources.pod,
  mutatePath: '/mutate--v1-pod',
}
const ours = [subnets, pools, reservedIps, coordinators, ipClaims, multusConfigs]

/** All kinds that admission looks at, with their paths (spec/webhooks.md §1). */
export const registrations: readonly Registration[] = [...ours, pods]

/**
 * The MutatingWebhookConfiguration and the ValidatingWebhookConfiguration to install.
 *
 * An outage of ours blocks no pod, no deletion, and no write of metadata or status: what fails closed is a change of the
 * spec of a pool or subnet, which could take away addresses that pods hold, and a new subnet. All else fails open: the CRDs hold the rules
 * of one object by themselves, and the leader looks again at what was stored meanwhile (docs/admission.md).
 * @param target with `caBundle` in base64
 */
export function webhookConfigurations(
  target: WebhookTarget,
  settings: WebhookSettings,
): readonly KubeObject[] {
  return [
    configuration('MutatingWebhookConfiguration', target, mutatingHooks(settings)),
    configuration('ValidatingWebhookConfiguration', target, validatingHooks(settings)),
  ]
}

function registration(resource: Resource): Registration {
  const { group, version, kind } = resource
  const tail = `${group.replaceAll('.', '-')}-${version}-${kind.toLowerCase()}`
  const name = `${kind.toLowerCase()}.${group}`
  return { name, resource, mutatePath: `/mutate-${tail}`, validatePath: `/validate-${tail}` }
}

function mutatingHooks({ podInject }: WebhookSettings): readonly Hook[] {
  const hooks = ours.map(({ name, resource, mutatePath }): Hook => {
    const operations: readonly Operation[] = ['CREATE', 'UPDATE']
    return { name, resource, path: mutatePath, operations, failurePolicy: 'Ignore' }
  })
  if (podInject === undefined) return hooks
  const { installNamespace, excludedNamespaces, includedNamespaces } = podInject
  const key = namespaceNameLabel
  const never = [...new Set([controlPlaneNamespace, installNamespace, ...excludedNamespaces])]
  const selector = {
    matchExpressions: [
      { key, operator: 'NotIn', values: never },
      ...(includedNamespaces.length === 0 ? [] : [{ key, operator: 'In', values: includedNamespaces }]),
    ],
  }
  const { name, resource, mutatePath } = pods
  const injection: Hook = {
    name,
    resource,
    path: mutatePath,
    operations: ['CREATE'],
    failurePolicy: 'Ignore',
    namespaceSelector: selector,
  }
  return [...hooks, injection]
}

/** Other writes, such as taking a finalizer away, are not asked about: they pass also while nobody answers. */
const specChanges = [
  {
    name: 'spec-changes',
    expression:
      'has(object.spec) != has(oldObject.spec) || (has(object.spec) && object.spec != oldObject.spec)',
  },
]

function validatingHooks({ guardDeletion }: WebhookSettings): readonly Hook[] {
  const hook = (
    { name, resource, validatePath = '' }: Registration,
    operations: readonly Operation[],
    more: { readonly prefix?: string; readonly closed?: boolean; readonly onlySpec?: boolean } = {},
  ): Hook => ({
    name: `${more.prefix ?? ''}${name}`,
    resource,
    path: validatePath,
    operations,
    failurePolicy: more.closed === true ? 'Fail' : 'Ignore',
    ...(more.onlySpec === true ? { matchConditions: specChanges } : {}),
  })
  const change = { prefix: 'update.', closed: true, onlySpec: true }
  return [
    hook(subnets, ['CREATE'], { closed: true }),
    hook(subnets, ['UPDATE'], change),
    hook(pools, ['CREATE']),
    hook(pools, ['UPDATE'], change),
    ...[reservedIps, coordinators, ipClaims, multusConfigs].map((kind) => hook(kind, ['CREATE', 'UPDATE'])),
    ...(guardDeletion ? [subnets, pools].map((kind) => hook(kind, ['DELETE'], { prefix: 'delete.' })) : []),
  ]
}

function configuration(
  kind: string,
  target: WebhookTarget,
  hooks: readonly Hook[],
): KubeObject & { readonly webhooks: readonly unknown[] } {
  const webhooks = hooks.map(({ resource, path, operations, ...hook }) => ({
    ...hook,
    admissionReviewVersions: ['v1'],
    clientConfig: clientConfig(target, path),
    rules: [
      {
        apiGroups: [resource.group],
        apiVersions: [resource.version],
        operations,
        resources: [resource.plural],
        scope: '*',
      },
    ],
    sideEffects: 'None',
    timeoutSeconds: resource === pods.resource ? podTimeoutSeconds : timeoutSeconds,
  }))
  const metadata = { name: webhookConfigurationName }
  return { apiVersion: 'admissionregistration.k8s.io/v1', kind, metadata, webhooks }
}

function clientConfig(target: WebhookTarget, path: string): Readonly<Record<string, unknown>> {
  const { caBundle } = target
  if (target.kind === 'url') return { url: `${target.baseUrl}${path}`, caBundle }
  const { namespace, name, port } = target
  return { service: { namespace, name, port, path }, caBundle }
}
