import type { JsonObject } from '../record.ts'
import {
  anything,
  atomic,
  flag,
  int32,
  int64,
  intOrString,
  keyed,
  list,
  object,
  quantityMap,
  retainKeys,
  text,
  textMap,
  texts,
  time,
  withDefault,
} from './builders.ts'
import { conditions, labelSelector, localReference, objectMeta } from './meta-schemas.ts'

const keySource = (what: string): JsonObject =>
  atomic(
    object(
      `One key of a ${what}.`,
      {
        name: text(`Name of the ${what}.`),
        key: text('The key.'),
        optional: flag('Whether it may be absent.'),
      },
      ['key'],
    ),
  )

const environment = keyed(
  'Environment variables.',
  object(
    'One environment variable.',
    {
      name: text('Name of the variable.'),
      value: text('Its value.'),
      valueFrom: object('Where the value comes from.', {
        fieldRef: atomic(
          object('A field of the pod.', {
            fieldPath: text('Path of the field.'),
            apiVersion: text('API version of the path.'),
          }),
        ),
        configMapKeyRef: keySource('ConfigMap'),
        secretKeyRef: keySource('Secret'),
        resourceFieldRef: atomic(anything('A resource of the container.')),
      }),
    },
    ['name'],
  ),
  ['name'],
)

const port = object(
  'A port that the container listens on.',
  {
    containerPort: int32('Number of the port.'),
    protocol: withDefault(text('TCP, UDP or SCTP.'), 'TCP'),
    name: text('Name of the port.'),
    hostPort: int32('Port of the node that leads here.'),
    hostIP: text('Address of the node for hostPort.'),
  },
  ['containerPort'],
)

const probe = (description: string): JsonObject =>
  object(description, {
    httpGet: object('An HTTP request.', {
      path: text('Path.'),
      port: intOrString('Number or name of the port.'),
      scheme: text('HTTP or HTTPS.'),
      host: text('Host name.'),
    }),
    tcpSocket: object('A TCP connection.', {
      port: intOrString('Number or name of the port.'),
      host: text('Host name.'),
    }),
    exec: object('A command.', { command: texts('Words of the command.') }),
    initialDelaySeconds: int32('Seconds before the first probe.'),
    periodSeconds: int32('Seconds between probes.'),
    timeoutSeconds: int32('Seconds that one probe may take.'),
    successThreshold: int32('Successes in a row that make it good.'),
    failureThreshold: int32('Failures in a row that make it bad.'),
  })

const volumeMount = object(
  'Where a volume is mounted in the container.',
  {
    name: text('Name of the volume.'),
    mountPath: text('Path in the container.'),
    subPath: text('Path inside the volume.'),
    readOnly: flag('Whether it is mounted read-only.'),
  },
  ['name', 'mountPath'],
)

const container = object(
  'One container of a pod.',
  {
    name: text('Name, unique in the pod.'),
    image: text('Image to run.'),
    imagePullPolicy: text('Always, Never or IfNotPresent.'),
    command: texts('Entry point.'),
    args: texts('Arguments of the entry point.'),
    workingDir: text('Working directory.'),
    env: environment,
    envFrom: list('Sources of whole sets of variables.', anything('One source.')),
    ports: keyed('Ports that the container listens on.', port, ['containerPort', 'protocol']),
    resources: object('Computing resources.', {
      limits: quantityMap('The most it may use.'),
      requests: quantityMap('What the scheduler sets aside for it.'),
    }),
    volumeMounts: keyed('Volumes in the container.', volumeMount, ['mountPath']),
    volumeDevices: keyed(
      'Block devices in the container.',
      object(
        'One device.',
        { name: text('Name of the volume.'), devicePath: text('Path in the container.') },
        ['name', 'devicePath'],
      ),
      ['devicePath'],
    ),
    livenessProbe: probe('Restarts the container when it fails.'),
    readinessProbe: probe('Takes the pod out of Services when it fails.'),
    startupProbe: probe('Holds back the other probes until it succeeds.'),
    lifecycle: anything('Hooks after start and before stop.'),
    securityContext: anything('User, capabilities and privileges.'),
    restartPolicy: text('Of an init container: Always makes it a sidecar.'),
    terminationMessagePath: text('File with the last message of the container.'),
    terminationMessagePolicy: text('File or FallbackToLogsOnError.'),
    tty: flag('Whether it gets a terminal.'),
    stdin: flag('Whether it gets a standard input.'),
  },
  ['name'],
)

const toleration = object('A taint that the pod tolerates.', {
  key: text('Key of the taint; empty for all.'),
  operator: text('Equal or Exists.'),
  value: text('Value of the taint, for Equal.'),
  effect: text('NoSchedule, PreferNoSchedule or NoExecute; empty for all.'),
  tolerationSeconds: int64('Seconds that a NoExecute taint is tolerated.'),
})

const spreadConstraint = object(
  'How pods spread over a topology.',
  {
    maxSkew: int32('How uneven the spread may be.'),
    topologyKey: text('Label of nodes that makes the domains.'),
    whenUnsatisfiable: text('DoNotSchedule or ScheduleAnyway.'),
    labelSelector: labelSelector('Pods that are counted.'),
  },
  ['maxSkew', 'topologyKey', 'whenUnsatisfiable'],
)

/** `PodSpec` of core/v1 as far as it is described. */
export const podSpec: JsonObject = object(
  'What the pod runs, and where.',
  {
    containers: keyed('Containers of the pod.', container, ['name']),
    initContainers: keyed('Containers that run one after the other before the others.', container, ['name']),
    ephemeralContainers: keyed('Containers added to a running pod.', container, ['name']),
    volumes: keyed(
      'Volumes that containers mount.',
      object('One volume: a name and one source.', { name: text('Name of the volume.') }, ['name']),
      ['name'],
      'merge,retainKeys',
    ),
    nodeName: text('Node that runs the pod; set by the scheduler.'),
    nodeSelector: textMap('Labels that the node must have.', 'atomic'),
    affinity: anything('Rules of attraction to nodes and other pods.'),
    tolerations: list('Taints that the pod tolerates.', toleration),
    topologySpreadConstraints: keyed('How pods spread over a topology.', spreadConstraint, [
      'topologyKey',
      'whenUnsatisfiable',
    ]),
    schedulerName: text('Scheduler that places the pod.'),
    priorityClassName: text('Name of the priority class.'),
    priority: int32('Priority among pods.'),
    restartPolicy: text('Always, OnFailure or Never.'),
    terminationGracePeriodSeconds: int64('Seconds that the pod may take to end.'),
    activeDeadlineSeconds: int64('Seconds that the pod may run.'),
    serviceAccountName: text('ServiceAccount that the pod acts as.'),
    serviceAccount: text('Old name of serviceAccountName.'),
    automountServiceAccountToken: flag('Whether its token is mounted.'),
    hostNetwork: flag('Whether the pod uses the network of its node.'),
    hostPID: flag('Whether it sees the processes of its node.'),
    hostIPC: flag('Whether it uses the IPC of its node.'),
    shareProcessNamespace: flag('Whether its containers see each other.'),
    hostname: text('Host name of the pod.'),
    subdomain: text('Subdomain of the pod.'),
    hostAliases: keyed(
      'Lines of /etc/hosts.',
      object('One line.', { ip: text('Address.'), hostnames: texts('Names of it.') }, ['ip']),
      ['ip'],
    ),
    dnsPolicy: text('ClusterFirst, Default, None or ClusterFirstWithHostNet.'),
    dnsConfig: anything('Name servers and search domains.'),
    imagePullSecrets: keyed('Secrets for pulling images.', localReference('One secret.'), ['name']),
    securityContext: anything('User, groups and privileges of all containers.'),
    enableServiceLinks: flag('Whether Services appear in the environment.'),
    preemptionPolicy: text('PreemptLowerPriority or Never.'),
    readinessGates: list('Conditions that count for readiness.', anything('One condition.')),
    runtimeClassName: text('Runtime that runs the pod.'),
    overhead: quantityMap('Resources that the pod itself takes.'),
  },
  ['containers'],
)

/** `PodTemplateSpec` of core/v1. */
export const podTemplate: JsonObject = object('What each pod is made from.', {
  metadata: objectMeta,
  spec: podSpec,
})

const containerStatus = object('What is known of one container.', {
  name: text('Name of the container.'),
  ready: flag('Whether it is ready.'),
  started: flag('Whether it has started.'),
  restartCount: int32('How often it was restarted.'),
  image: text('Image that it runs.'),
  imageID: text('Exact image.'),
  containerID: text('Id at the runtime.'),
  state: anything('waiting, running or terminated.'),
  lastState: anything('The state before.'),
})

/** `PodStatus` of core/v1. */
export const podStatus: JsonObject = object('What is known of the pod.', {
  phase: text('Pending, Running, Succeeded, Failed or Unknown.'),
  conditions,
  message: text('A sentence for people.'),
  reason: text('One word for programs.'),
  hostIP: text('Address of the node.'),
  hostIPs: list('Addresses of the node.', object('One address.', { ip: text('The address.') })),
  podIP: text('First address of the pod.'),
  podIPs: keyed(
    'Addresses of the pod, one of a family.',
    object('One address.', { ip: text('The address.') }, ['ip']),
    ['ip'],
  ),
  startTime: time('When the node took the pod over.'),
  qosClass: text('Guaranteed, Burstable or BestEffort.'),
  containerStatuses: list('Containers.', containerStatus),
  initContainerStatuses: list('Init containers.', containerStatus),
})

export const rollingStrategy = (description: string): JsonObject =>
  retainKeys(
    object(description, {
      type: text('How pods are replaced.'),
      rollingUpdate: object('Limits of a rolling update.', {
        maxUnavailable: intOrString('Pods that may be missing.'),
        maxSurge: intOrString('Pods that may be too many.'),
        partition: int32('Of a StatefulSet: ordinals from here on are updated.'),
      }),
    }),
  )
