/**
 * Numbers and types of the fields of Kubernetes' messages, as far as kubectl's typed commands send them.
 * Written `number name type`; types: `s` string, `i` integer, `b` boolean, `y` bytes, `t` time, `q` quantity, `n` int or
 * string, `m:TYPE` map from strings, a message's name, `_` for what a server ignores on creation. `*` before the type: a
 * list. `?` after the name: absent and zero differ (in the others a zero is not written to JSON).
 */
const source: Readonly<Record<string, string>> = {
  ObjectMeta:
    '1 name s,2 generateName s,3 namespace s,4 selfLink s,5 uid s,6 resourceVersion s,7 generation i,' +
    '8 creationTimestamp t,9 deletionTimestamp? t,10 deletionGracePeriodSeconds? i,11 labels m:s,12 annotations m:s,' +
    '13 ownerReferences *OwnerReference,14 finalizers *s,17 managedFields _',
  OwnerReference: '1 kind s,3 name s,4 uid s,5 apiVersion s,6 controller? b,7 blockOwnerDeletion? b',
  LabelSelector: '1 matchLabels m:s,2 matchExpressions *LabelExpression',
  LabelExpression: '1 key s,2 operator s,3 values *s',
  DeleteOptions:
    '1 gracePeriodSeconds? i,2 preconditions Preconditions,3 orphanDependents? b,4 propagationPolicy s,5 dryRun *s',
  Preconditions: '1 uid? s,2 resourceVersion? s',
  ObjectReference: '1 kind s,2 namespace s,3 name s,4 uid s,5 apiVersion s,6 resourceVersion s,7 fieldPath s',
  LocalObjectReference: '1 name s',
  Namespace: '1 metadata ObjectMeta,2 spec NamespaceSpec,3 status _',
  NamespaceSpec: '1 finalizers *s',
  ConfigMap: '1 metadata ObjectMeta,2 data m:s,3 binaryData m:y,4 immutable? b',
  Secret: '1 metadata ObjectMeta,2 data m:y,3 type s,4 stringData m:s,5 immutable? b',
  ServiceAccount:
    '1 metadata ObjectMeta,2 secrets *ObjectReference,3 imagePullSecrets *LocalObjectReference,' +
    '4 automountServiceAccountToken? b',
  Service: '1 metadata ObjectMeta,2 spec ServiceSpec,3 status _',
  ServiceSpec:
    '1 ports *ServicePort,2 selector m:s,3 clusterIP s,4 type s,5 externalIPs *s,7 sessionAffinity s,' +
    '8 loadBalancerIP s,9 loadBalancerSourceRanges *s,10 externalName s,11 externalTrafficPolicy s,' +
    '12 healthCheckNodePort i,13 publishNotReadyAddresses b,17 ipFamilyPolicy? s,18 clusterIPs *s,19 ipFamilies *s,' +
    '20 allocateLoadBalancerNodePorts? b,21 loadBalancerClass? s,22 internalTrafficPolicy? s,23 trafficDistribution? s',
  ServicePort: '1 name s,2 protocol s,3 port i,4 targetPort n,5 nodePort i,6 appProtocol? s',
  Binding: '1 metadata ObjectMeta,2 target ObjectReference',
  Pod: '1 metadata ObjectMeta,2 spec PodSpec,3 status _',
  PodTemplateSpec: '1 metadata ObjectMeta,2 spec PodSpec',
  PodSpec:
    '2 containers *Container,3 restartPolicy s,4 terminationGracePeriodSeconds? i,5 activeDeadlineSeconds? i,' +
    '6 dnsPolicy s,7 nodeSelector m:s,8 serviceAccountName s,9 serviceAccount s,10 nodeName s,11 hostNetwork b,' +
    '12 hostPID b,13 hostIPC b,15 imagePullSecrets *LocalObjectReference,16 hostname s,17 subdomain s,' +
    '19 schedulerName s,20 initContainers *Container,21 automountServiceAccountToken? b,22 tolerations *Toleration,' +
    '24 priorityClassName s,25 priority? i,27 shareProcessNamespace? b,30 enableServiceLinks? b,31 preemptionPolicy? s',
  Toleration: '1 key s,2 operator s,3 value s,4 effect s,5 tolerationSeconds? i',
  Container:
    '1 name s,2 image s,3 command *s,4 args *s,5 workingDir s,6 ports *ContainerPort,7 env *EnvVar,' +
    '8 resources ResourceRequirements,13 terminationMessagePath s,14 imagePullPolicy s,16 stdin b,17 stdinOnce b,' +
    '18 tty b,20 terminationMessagePolicy s',
  ContainerPort: '1 name s,2 hostPort i,3 containerPort i,4 protocol s,5 hostIP s',
  EnvVar: '1 name s,2 value s',
  ResourceRequirements: '1 limits m:q,2 requests m:q',
  Deployment: '1 metadata ObjectMeta,2 spec DeploymentSpec,3 status _',
  DeploymentSpec:
    '1 replicas? i,2 selector LabelSelector,3 template PodTemplateSpec,4 strategy DeploymentStrategy,' +
    '5 minReadySeconds i,6 revisionHistoryLimit? i,7 paused b,9 progressDeadlineSeconds? i',
  DeploymentStrategy: '1 type s,2 rollingUpdate RollingUpdate',
  RollingUpdate: '1 maxUnavailable n,2 maxSurge n',
  Job: '1 metadata ObjectMeta,2 spec JobSpec,3 status _',
  JobSpec:
    '1 parallelism? i,2 completions? i,3 activeDeadlineSeconds? i,4 selector LabelSelector,5 manualSelector? b,' +
    '6 template PodTemplateSpec,7 backoffLimit? i,8 ttlSecondsAfterFinished? i,9 completionMode? s,10 suspend? b,' +
    '12 backoffLimitPerIndex? i,13 maxFailedIndexes? i,14 podReplacementPolicy? s,15 managedBy? s',
  JobTemplateSpec: '1 metadata ObjectMeta,2 spec JobSpec',
  CronJob: '1 metadata ObjectMeta,2 spec CronJobSpec,3 status _',
  CronJobSpec:
    '1 schedule s,2 startingDeadlineSeconds? i,3 concurrencyPolicy s,4 suspend? b,5 jobTemplate JobTemplateSpec,' +
    '6 successfulJobsHistoryLimit? i,7 failedJobsHistoryLimit? i,8 timeZone? s',
  PodDisruptionBudget: '1 metadata ObjectMeta,2 spec PodDisruptionBudgetSpec,3 status _',
  PodDisruptionBudgetSpec:
    '1 minAvailable n,2 selector LabelSelector,3 maxUnavailable n,4 unhealthyPodEvictionPolicy? s',
  Eviction: '1 metadata ObjectMeta,2 deleteOptions DeleteOptions',
  PriorityClass: '1 metadata ObjectMeta,2 value? i,3 globalDefault b,4 description s,5 preemptionPolicy? s',
  Lease: '1 metadata ObjectMeta,2 spec LeaseSpec',
  LeaseSpec:
    '1 holderIdentity? s,2 leaseDurationSeconds? i,3 acquireTime? t,4 renewTime? t,5 leaseTransitions? i',
  Role: '1 metadata ObjectMeta,2 rules *PolicyRule',
  ClusterRole: '1 metadata ObjectMeta,2 rules *PolicyRule,3 aggregationRule AggregationRule',
  AggregationRule: '1 clusterRoleSelectors *LabelSelector',
  PolicyRule: '1 verbs *s,2 apiGroups *s,3 resources *s,4 resourceNames *s,5 nonResourceURLs *s',
  RoleBinding: '1 metadata ObjectMeta,2 subjects *Subject,3 roleRef RoleRef',
  ClusterRoleBinding: '1 metadata ObjectMeta,2 subjects *Subject,3 roleRef RoleRef',
  Subject: '1 kind s,2 apiGroup s,3 name s,4 namespace s',
  RoleRef: '1 apiGroup s,2 kind s,3 name s',
  TokenRequest: '1 metadata ObjectMeta,2 spec TokenRequestSpec,3 status _',
  TokenRequestSpec: '1 audiences *s,3 boundObjectRef BoundObjectReference,4 expirationSeconds? i',
  BoundObjectReference: '1 kind s,2 apiVersion s,3 name s,4 uid s',
  TokenReview: '1 metadata ObjectMeta,2 spec TokenReviewSpec,3 status _',
  TokenReviewSpec: '1 token s,2 audiences *s',
  SelfSubjectReview: '1 metadata ObjectMeta,2 status _',
  SelfSubjectAccessReview: '1 metadata ObjectMeta,2 spec AccessReviewSpec,3 status _',
  SubjectAccessReview: '1 metadata ObjectMeta,2 spec SubjectAccessReviewSpec,3 status _',
  AccessReviewSpec: '1 resourceAttributes ResourceAttributes,2 nonResourceAttributes NonResourceAttributes',
  SubjectAccessReviewSpec:
    '1 resourceAttributes ResourceAttributes,2 nonResourceAttributes NonResourceAttributes,3 user s,4 groups *s,6 uid s',
  ResourceAttributes: '1 namespace s,2 verb s,3 group s,4 version s,5 resource s,6 subresource s,7 name s',
  NonResourceAttributes: '1 path s,2 verb s',
  SelfSubjectRulesReview: '1 metadata ObjectMeta,2 spec RulesReviewSpec,3 status _',
  RulesReviewSpec: '1 namespace s',
}

/** One field of a message: its JSON name and how its value is read. */
export interface MessageField {
  readonly name: string
  readonly type: string
  readonly isList: boolean
  readonly keepsZero: boolean
}

const parsed = new Map<string, ReadonlyMap<number, MessageField>>()

/** The fields of a message by number; undefined for a message that is not described. */
export function messageFields(name: string): ReadonlyMap<number, MessageField> | undefined {
  const known = parsed.get(name)
  if (known !== undefined || !Object.hasOwn(source, name)) return known
  const entries = (source[name] ?? '').split(',').map((text): [number, MessageField] => {
    const [number = '', field = '', type = ''] = text.split(' ')
    const isList = type.startsWith('*')
    const keepsZero = field.endsWith('?')
    const jsonName = keepsZero ? field.slice(0, -1) : field
    return [Number(number), { name: jsonName, type: isList ? type.slice(1) : type, isList, keepsZero }]
  })
  const fields = new Map(entries)
  parsed.set(name, fields)
  return fields
}
