// Field numbers of the kinds that kubectl creates through its typed clients, as the API's .proto files give them.

/** How one field is read. `text`, numbers and flags that are empty are left out, unless the field may say "zero". */
export type FieldType =
  | 'text'
  | 'base64'
  | 'int'
  | 'flag'
  | 'intOrString'
  | 'time'
  /** A status: create requests do not set one, whatever they send. */
  | 'ignored'
  | { readonly zero: 'int' | 'flag' | 'text' }
  | { readonly list: FieldType }
  | { readonly map: 'text' | 'base64' }
  | MessageType

/** Fields by number: name and type. */
export interface MessageType {
  readonly fields: Readonly<Record<number, readonly [string, FieldType]>>
}

const message = (fields: MessageType['fields']): MessageType => ({ fields })
const listOf = (type: FieldType): FieldType => ({ list: type })
const texts = listOf('text')
const textMap: FieldType = { map: 'text' }
/** A pointer in the API: zero is a value. */
const int: FieldType = { zero: 'int' }
const flag: FieldType = { zero: 'flag' }
const nothing = message({})

const ownerReference = message({
  1: ['kind', 'text'],
  3: ['name', 'text'],
  4: ['uid', 'text'],
  5: ['apiVersion', 'text'],
  6: ['controller', flag],
  7: ['blockOwnerDeletion', flag],
})
const metadata = message({
  1: ['name', 'text'],
  2: ['generateName', 'text'],
  3: ['namespace', 'text'],
  4: ['selfLink', 'text'],
  5: ['uid', 'text'],
  6: ['resourceVersion', 'text'],
  7: ['generation', 'int'],
  8: ['creationTimestamp', 'time'],
  9: ['deletionTimestamp', 'time'],
  10: ['deletionGracePeriodSeconds', int],
  11: ['labels', textMap],
  12: ['annotations', textMap],
  13: ['ownerReferences', listOf(ownerReference)],
  14: ['finalizers', texts],
})
const selector = message({
  1: ['matchLabels', textMap],
  2: [
    'matchExpressions',
    listOf(message({ 1: ['key', 'text'], 2: ['operator', 'text'], 3: ['values', texts] })),
  ],
})
const localReference = message({ 1: ['name', { zero: 'text' }] })

const container = message({
  1: ['name', 'text'],
  2: ['image', 'text'],
  3: ['command', texts],
  4: ['args', texts],
  5: ['workingDir', 'text'],
  6: [
    'ports',
    listOf(
      message({
        1: ['name', 'text'],
        2: ['hostPort', 'int'],
        3: ['containerPort', 'int'],
        4: ['protocol', 'text'],
        5: ['hostIP', 'text'],
      }),
    ),
  ],
  7: ['env', listOf(message({ 1: ['name', 'text'], 2: ['value', 'text'] }))],
  8: ['resources', nothing],
  13: ['terminationMessagePath', 'text'],
  14: ['imagePullPolicy', 'text'],
  16: ['stdin', 'flag'],
  17: ['stdinOnce', 'flag'],
  18: ['tty', 'flag'],
  20: ['terminationMessagePolicy', 'text'],
})
const podSpec = message({
  2: ['containers', listOf(container)],
  3: ['restartPolicy', 'text'],
  4: ['terminationGracePeriodSeconds', int],
  5: ['activeDeadlineSeconds', int],
  6: ['dnsPolicy', 'text'],
  7: ['nodeSelector', textMap],
  8: ['serviceAccountName', 'text'],
  9: ['serviceAccount', 'text'],
  10: ['nodeName', 'text'],
  11: ['hostNetwork', 'flag'],
  12: ['hostPID', 'flag'],
  13: ['hostIPC', 'flag'],
  15: ['imagePullSecrets', listOf(localReference)],
  16: ['hostname', 'text'],
  17: ['subdomain', 'text'],
  19: ['schedulerName', 'text'],
  20: ['initContainers', listOf(container)],
  21: ['automountServiceAccountToken', flag],
  24: ['priorityClassName', 'text'],
})
const podTemplate = message({ 1: ['metadata', metadata], 2: ['spec', podSpec] })
const rolling = message({ 1: ['maxUnavailable', 'intOrString'], 2: ['maxSurge', 'intOrString'] })
const deploymentSpec = message({
  1: ['replicas', int],
  2: ['selector', selector],
  3: ['template', podTemplate],
  4: ['strategy', message({ 1: ['type', 'text'], 2: ['rollingUpdate', rolling] })],
  5: ['minReadySeconds', 'int'],
  6: ['revisionHistoryLimit', int],
  7: ['paused', 'flag'],
  9: ['progressDeadlineSeconds', int],
})
const jobSpec = message({
  1: ['parallelism', int],
  2: ['completions', int],
  3: ['activeDeadlineSeconds', int],
  4: ['selector', selector],
  5: ['manualSelector', flag],
  6: ['template', podTemplate],
  7: ['backoffLimit', int],
  8: ['ttlSecondsAfterFinished', int],
  9: ['completionMode', 'text'],
  10: ['suspend', flag],
})
const cronJobSpec = message({
  1: ['schedule', 'text'],
  2: ['startingDeadlineSeconds', int],
  3: ['concurrencyPolicy', 'text'],
  4: ['suspend', flag],
  5: ['jobTemplate', message({ 1: ['metadata', metadata], 2: ['spec', jobSpec] })],
  6: ['successfulJobsHistoryLimit', int],
  7: ['failedJobsHistoryLimit', int],
  8: ['timeZone', 'text'],
})
const servicePort = message({
  1: ['name', 'text'],
  2: ['protocol', 'text'],
  3: ['port', 'int'],
  4: ['targetPort', 'intOrString'],
  5: ['nodePort', 'int'],
  6: ['appProtocol', 'text'],
})
const serviceSpec = message({
  1: ['ports', listOf(servicePort)],
  2: ['selector', textMap],
  3: ['clusterIP', 'text'],
  4: ['type', 'text'],
  5: ['externalIPs', texts],
  7: ['sessionAffinity', 'text'],
  8: ['loadBalancerIP', 'text'],
  9: ['loadBalancerSourceRanges', texts],
  10: ['externalName', 'text'],
  11: ['externalTrafficPolicy', 'text'],
  12: ['healthCheckNodePort', 'int'],
  13: ['publishNotReadyAddresses', 'flag'],
  17: ['ipFamilyPolicy', 'text'],
  18: ['clusterIPs', texts],
  19: ['ipFamilies', texts],
})
const policyRules = listOf(
  message({
    1: ['verbs', texts],
    2: ['apiGroups', texts],
    3: ['resources', texts],
    4: ['resourceNames', texts],
    5: ['nonResourceURLs', texts],
  }),
)
const subjects = listOf(
  message({ 1: ['kind', 'text'], 2: ['apiGroup', 'text'], 3: ['name', 'text'], 4: ['namespace', 'text'] }),
)
const binding = message({
  1: ['metadata', metadata],
  2: ['subjects', subjects],
  3: ['roleRef', message({ 1: ['apiGroup', 'text'], 2: ['kind', 'text'], 3: ['name', 'text'] })],
})
const deleteOptions = message({
  1: ['gracePeriodSeconds', int],
  2: ['preconditions', message({ 1: ['uid', 'text'], 2: ['resourceVersion', 'text'] })],
  3: ['orphanDependents', flag],
  4: ['propagationPolicy', 'text'],
  5: ['dryRun', texts],
})
const tokenRequest = message({
  1: ['audiences', texts],
  3: [
    'boundObjectRef',
    message({ 1: ['kind', 'text'], 2: ['apiVersion', 'text'], 3: ['name', 'text'], 4: ['uid', 'text'] }),
  ],
  4: ['expirationSeconds', int],
})
const accessReview = message({
  1: [
    'resourceAttributes',
    message({
      1: ['namespace', 'text'],
      2: ['verb', 'text'],
      3: ['group', 'text'],
      4: ['version', 'text'],
      5: ['resource', 'text'],
      6: ['subresource', 'text'],
      7: ['name', 'text'],
    }),
  ],
  2: ['nonResourceAttributes', message({ 1: ['path', 'text'], 2: ['verb', 'text'] })],
})
const disruptionBudget = message({
  1: ['minAvailable', 'intOrString'],
  2: ['selector', selector],
  3: ['maxUnavailable', 'intOrString'],
})

/** `metadata`, `spec` and a status that a create request leaves empty. */
const withSpec = (spec: MessageType): MessageType =>
  message({ 1: ['metadata', metadata], 2: ['spec', spec], 3: ['status', 'ignored'] })

/** Readable kinds by `apiVersion/Kind`. */
export const messageTypes: Readonly<Record<string, MessageType>> = {
  'v1/Namespace': message({
    1: ['metadata', metadata],
    2: ['spec', message({ 1: ['finalizers', texts] })],
    3: ['status', 'ignored'],
  }),
  'v1/ConfigMap': message({
    1: ['metadata', metadata],
    2: ['data', textMap],
    3: ['binaryData', { map: 'base64' }],
    4: ['immutable', flag],
  }),
  'v1/Secret': message({
    1: ['metadata', metadata],
    2: ['data', { map: 'base64' }],
    3: ['type', 'text'],
    4: ['stringData', textMap],
    5: ['immutable', flag],
  }),
  'v1/ServiceAccount': message({
    1: ['metadata', metadata],
    3: ['imagePullSecrets', listOf(localReference)],
    4: ['automountServiceAccountToken', flag],
  }),
  'v1/Service': message({
    1: ['metadata', metadata],
    2: ['spec', serviceSpec],
    3: ['status', 'ignored'],
  }),
  'v1/DeleteOptions': deleteOptions,
  'meta.k8s.io/v1/DeleteOptions': deleteOptions,
  'apps/v1/Deployment': withSpec(deploymentSpec),
  'batch/v1/Job': withSpec(jobSpec),
  'batch/v1/CronJob': withSpec(cronJobSpec),
  'policy/v1/Eviction': message({ 1: ['metadata', metadata], 2: ['deleteOptions', deleteOptions] }),
  'policy/v1/PodDisruptionBudget': withSpec(disruptionBudget),
  'scheduling.k8s.io/v1/PriorityClass': message({
    1: ['metadata', metadata],
    2: ['value', { zero: 'int' }],
    3: ['globalDefault', 'flag'],
    4: ['description', 'text'],
    5: ['preemptionPolicy', 'text'],
  }),
  'rbac.authorization.k8s.io/v1/Role': message({ 1: ['metadata', metadata], 2: ['rules', policyRules] }),
  'rbac.authorization.k8s.io/v1/ClusterRole': message({
    1: ['metadata', metadata],
    2: ['rules', policyRules],
  }),
  'rbac.authorization.k8s.io/v1/RoleBinding': binding,
  'rbac.authorization.k8s.io/v1/ClusterRoleBinding': binding,
  'authentication.k8s.io/v1/TokenRequest': message({
    1: ['metadata', metadata],
    2: ['spec', tokenRequest],
    3: ['status', 'ignored'],
  }),
  'authentication.k8s.io/v1/SelfSubjectReview': message({
    1: ['metadata', metadata],
    2: ['status', 'ignored'],
  }),
  'authorization.k8s.io/v1/SelfSubjectAccessReview': message({
    1: ['metadata', metadata],
    2: ['spec', accessReview],
    3: [
      'status',
      message({
        1: ['allowed', 'flag'],
        2: ['reason', 'text'],
        3: ['evaluationError', 'text'],
        4: ['denied', 'flag'],
      }),
    ],
  }),
  'authorization.k8s.io/v1/SelfSubjectRulesReview': message({
    1: ['metadata', metadata],
    2: ['spec', message({ 1: ['namespace', 'text'] })],
    3: ['status', 'ignored'],
  }),
}
