import type { JsonObject } from '../record.ts'
import {
  anything,
  type Fields,
  flag,
  int32,
  int64,
  intOrString,
  keyed,
  kind,
  list,
  object,
  quantityMap,
  text,
  textMap,
  textSet,
  texts,
  time,
} from './builders.ts'
import { conditions, labelSelector, localReference } from './meta-schemas.ts'
import { podSpec, podStatus, podTemplate } from './pod-schemas.ts'

const reference: Fields = {
  apiVersion: text('API version.'),
  kind: text('Kind.'),
  name: text('Name.'),
  namespace: text('Namespace.'),
  uid: text('Unique id.'),
  resourceVersion: text('Version of the object.'),
  fieldPath: text('Part of the object.'),
}

const taint = object(
  'Keeps away pods that do not tolerate it.',
  {
    key: text('Key.'),
    value: text('Value.'),
    effect: text('NoSchedule, PreferNoSchedule or NoExecute.'),
    timeAdded: time('When it was added.'),
  },
  ['key', 'effect'],
)

const servicePort = object(
  'One port of a Service.',
  {
    name: text('Name of the port.'),
    port: int32('Number of the port.'),
    protocol: { ...text('TCP, UDP or SCTP.'), default: 'TCP' },
    targetPort: intOrString('Port of the pods.'),
    nodePort: int32('Port of the nodes.'),
    appProtocol: text('Protocol inside.'),
  },
  ['port'],
)

const webhook = (more: Fields): JsonObject =>
  object(
    'One webhook.',
    {
      name: text('Name with dots, unique.'),
      clientConfig: object('Where it listens.', {
        url: text('URL, with https.'),
        caBundle: text('Certificates of the authority, PEM in base64.'),
        service: object('A Service.', {
          namespace: text('Namespace.'),
          name: text('Name.'),
          path: text('Path.'),
          port: int32('Port; 443 when absent.'),
        }),
      }),
      rules: list(
        'Requests that it sees.',
        object('One rule.', {
          apiGroups: texts('Groups; * for all.'),
          apiVersions: texts('Versions; * for all.'),
          operations: texts('CREATE, UPDATE, DELETE, CONNECT or *.'),
          resources: texts('Plural names, also with subresource.'),
          scope: text('Cluster, Namespaced or *.'),
        }),
      ),
      failurePolicy: text('Fail or Ignore: what holds when it gives no answer.'),
      matchPolicy: text('Exact or Equivalent.'),
      namespaceSelector: labelSelector('Namespaces whose objects it sees.'),
      objectSelector: labelSelector('Objects that it sees.'),
      sideEffects: text('None or NoneOnDryRun.'),
      timeoutSeconds: int32('Seconds that it may take, 1 to 30.'),
      admissionReviewVersions: texts('Versions of AdmissionReview that it knows.'),
      ...more,
    },
    ['name', 'clientConfig', 'sideEffects', 'admissionReviewVersions'],
  )

const policyRules = list(
  'What is allowed.',
  object(
    'One rule.',
    {
      apiGroups: texts('Groups.'),
      resources: texts('Plural names.'),
      verbs: texts('Verbs.'),
      resourceNames: texts('Names.'),
      nonResourceURLs: texts('Paths.'),
    },
    ['verbs'],
  ),
)
const binding: Fields = {
  roleRef: object('The role.', { apiGroup: text('Group.'), kind: text('Kind.'), name: text('Name.') }, [
    'apiGroup',
    'kind',
    'name',
  ]),
  subjects: list(
    'Who gets it.',
    object(
      'One subject.',
      {
        kind: text('User, Group or ServiceAccount.'),
        name: text('Name.'),
        namespace: text('Namespace.'),
        apiGroup: text('Group.'),
      },
      ['kind', 'name'],
    ),
  ),
}

/** Kinds of core/v1 and of the groups that clusters always have. */
export const coreKinds: Readonly<Record<string, JsonObject>> = {
  '/v1/Pod': kind('Containers that run together on one node and share one network namespace.', {
    spec: podSpec,
    status: podStatus,
  }),
  '/v1/PodTemplate': kind('A template of pods.', { template: podTemplate }),
  '/v1/Node': kind('A machine that runs pods.', {
    spec: object('What is wanted of the node.', {
      taints: list('Taints that keep pods away.', taint),
      unschedulable: flag('Whether new pods are kept away.'),
      podCIDR: text('First network of its pods.'),
      podCIDRs: textSet('Networks of its pods.'),
      providerID: text('Id at the provider.'),
    }),
    status: object('What is known of the node.', {
      addresses: keyed(
        'Addresses of the node.',
        object(
          'One address.',
          { type: text('InternalIP, ExternalIP, Hostname...'), address: text('The address.') },
          ['type', 'address'],
        ),
        ['type'],
      ),
      capacity: quantityMap('All resources.'),
      allocatable: quantityMap('Resources for pods.'),
      conditions,
      nodeInfo: anything('Versions of kernel and programs.'),
      phase: text('No longer used.'),
    }),
  }),
  '/v1/Namespace': kind('A room for objects with names of its own.', {
    spec: object('What keeps it.', {
      finalizers: list('Who must finish before it goes.', { type: 'string' }),
    }),
    status: object('What is known of it.', { phase: text('Active or Terminating.'), conditions }),
  }),
  '/v1/ConfigMap': kind('Configuration as texts.', {
    data: textMap('Texts by name.'),
    binaryData: textMap('Bytes in base64 by name.'),
    immutable: flag('Whether it can no longer change.'),
  }),
  '/v1/Secret': kind('Configuration that is not for everyone.', {
    type: text('What kind of secret it is.'),
    data: textMap('Bytes in base64 by name.'),
    stringData: textMap('Texts by name; written into data.'),
    immutable: flag('Whether it can no longer change.'),
  }),
  '/v1/ServiceAccount': kind('An identity for pods.', {
    secrets: keyed('Secrets that its pods may use.', object('One secret.', reference), ['name']),
    imagePullSecrets: list('Secrets for pulling images.', localReference('One secret.')),
    automountServiceAccountToken: flag('Whether its token is mounted.'),
  }),
  '/v1/Service': kind('One address for a set of pods.', {
    spec: object('What is wanted.', {
      type: text('ClusterIP, NodePort, LoadBalancer or ExternalName.'),
      selector: textMap('Labels of the pods.', 'atomic'),
      ports: keyed('Its ports.', servicePort, ['port', 'protocol']),
      clusterIP: text('Its address.'),
      clusterIPs: texts('Its addresses.'),
      externalName: text('Name that it stands for.'),
      sessionAffinity: text('ClientIP or None.'),
      publishNotReadyAddresses: flag('Whether pods count before they are ready.'),
    }),
    status: object('What is observed.', { loadBalancer: anything('Its load balancer.'), conditions }),
  }),
  '/v1/Endpoints': kind('Addresses behind a Service.', {
    subsets: list('Sets of addresses and ports.', anything('One set.')),
  }),
  '/v1/Event': kind('A report of something that happened to an object.', {
    involvedObject: object('The object.', reference),
    related: object('Another object.', reference),
    reason: text('One word for programs.'),
    message: text('A sentence for people.'),
    type: text('Normal or Warning.'),
    count: int32('How often it happened.'),
    firstTimestamp: time('When it happened first.'),
    lastTimestamp: time('When it happened last.'),
    eventTime: time('When it happened.'),
    action: text('What was done.'),
    source: object('Who reports.', { component: text('Program.'), host: text('Node.') }),
    reportingComponent: text('Program that reports.'),
    reportingInstance: text('Instance of it.'),
  }),
  '/v1/Binding': kind('Assigns a pod to a node.', { target: object('The node.', reference) }, ['target']),
  'coordination.k8s.io/v1/Lease': kind('A claim that must be renewed.', {
    spec: object('The claim.', {
      holderIdentity: text('Who holds it.'),
      leaseDurationSeconds: int32('Seconds that it holds after a renewal.'),
      leaseTransitions: int32('How often the holder changed.'),
      acquireTime: time('When the holder got it.'),
      renewTime: time('When it was renewed last.'),
    }),
  }),
  'admissionregistration.k8s.io/v1/MutatingWebhookConfiguration': kind(
    'Webhooks that may change objects before they are stored.',
    {
      webhooks: keyed('The webhooks.', webhook({ reinvocationPolicy: text('Never or IfNeeded.') }), ['name']),
    },
  ),
  'admissionregistration.k8s.io/v1/ValidatingWebhookConfiguration': kind(
    'Webhooks that may refuse objects before they are stored.',
    {
      webhooks: keyed('The webhooks.', webhook({}), ['name']),
    },
  ),
  'rbac.authorization.k8s.io/v1/Role': kind('Rights in a namespace.', { rules: policyRules }),
  'rbac.authorization.k8s.io/v1/ClusterRole': kind('Rights in the whole cluster.', {
    rules: policyRules,
    aggregationRule: anything('Roles that are joined into this one.'),
  }),
  'rbac.authorization.k8s.io/v1/RoleBinding': kind('Gives a role to somebody, in a namespace.', binding, [
    'roleRef',
  ]),
  'rbac.authorization.k8s.io/v1/ClusterRoleBinding': kind(
    'Gives a role to somebody, in the whole cluster.',
    binding,
    ['roleRef'],
  ),
  'apiextensions.k8s.io/v1/CustomResourceDefinition': kind(
    'Defines a kind of objects.',
    {
      spec: object(
        'The definition.',
        {
          group: text('API group of the kind.'),
          scope: text('Cluster or Namespaced.'),
          names: object(
            'Its names.',
            {
              plural: text('Name in paths.'),
              singular: text('Name of one.'),
              kind: text('Kind.'),
              listKind: text('Kind of a list.'),
              shortNames: texts('Short names.'),
              categories: texts('Groups of kinds, such as all.'),
            },
            ['plural', 'kind'],
          ),
          versions: list(
            'Its versions.',
            object(
              'One version.',
              {
                name: text('Name, such as v1.'),
                served: flag('Whether requests may use it.'),
                storage: flag('Whether objects are stored in it.'),
                schema: anything('Its schema.'),
                subresources: anything('status and scale.'),
                additionalPrinterColumns: list('Columns of kubectl get.', anything('One column.')),
                deprecated: flag('Whether users are warned.'),
                deprecationWarning: text('The warning.'),
              },
              ['name', 'served', 'storage'],
            ),
          ),
          conversion: anything('How versions are converted.'),
          preserveUnknownFields: flag('Must be false.'),
        },
        ['group', 'scope', 'names', 'versions'],
      ),
      status: object('What is observed.', {
        acceptedNames: anything('Names in use.'),
        storedVersions: texts('Versions that objects are stored in.'),
        conditions,
        observedGeneration: int64('Generation that this is about.'),
      }),
    },
    ['spec'],
  ),
}
