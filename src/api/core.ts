import type { KubeObject, LabelSelector } from './meta.ts'

// The parts of Kubernetes' own kinds that we read. Field names are the API's.

export interface Pod extends KubeObject {
  readonly spec?: {
    readonly nodeName?: string
    readonly hostNetwork?: boolean
    readonly restartPolicy?: string
    readonly terminationGracePeriodSeconds?: number
    readonly serviceAccountName?: string
    readonly nodeSelector?: Readonly<Record<string, string>>
    readonly tolerations?: readonly Toleration[]
    readonly containers?: readonly Container[]
  }
  readonly status?: {
    readonly phase?: string
    readonly reason?: string
    readonly message?: string
    readonly podIP?: string
    readonly podIPs?: readonly { readonly ip: string }[]
    readonly hostIP?: string
    readonly startTime?: string
    readonly conditions?: readonly Condition[]
    readonly containerStatuses?: readonly ContainerStatus[]
  }
}

export interface Toleration {
  readonly key?: string
  readonly operator?: string
  readonly value?: string
  readonly effect?: string
}

export interface Container {
  readonly name: string
  readonly image?: string
  readonly imagePullPolicy?: string
  readonly command?: readonly string[]
  readonly args?: readonly string[]
}

export interface ContainerStatus {
  readonly name: string
  readonly ready: boolean
  readonly restartCount: number
  readonly state?: {
    readonly waiting?: { readonly reason?: string; readonly message?: string }
    readonly running?: { readonly startedAt?: string }
    readonly terminated?: {
      readonly exitCode?: number
      readonly finishedAt?: string
      readonly reason?: string
    }
  }
}

export interface Condition {
  readonly type: string
  readonly status: string
  readonly reason?: string
  readonly message?: string
  readonly lastTransitionTime?: string
}

export interface Node extends KubeObject {
  readonly spec?: { readonly taints?: readonly Taint[]; readonly unschedulable?: boolean }
  readonly status?: {
    readonly conditions?: readonly Condition[]
    readonly addresses?: readonly { readonly type: string; readonly address: string }[]
  }
}

export interface Taint {
  readonly key: string
  readonly value?: string
  readonly effect: string
}

export interface Namespace extends KubeObject {
  readonly status?: { readonly phase?: string }
}

/** Deployment, ReplicaSet, StatefulSet, DaemonSet and Job as far as we read them. */
export interface Workload extends KubeObject {
  readonly spec?: {
    readonly replicas?: number
    readonly selector?: LabelSelector
    readonly ordinals?: { readonly start?: number }
    readonly template?: { readonly metadata?: Partial<KubeObject['metadata']>; readonly spec?: Pod['spec'] }
  }
}

/** VirtualMachineInstanceMigration of kubevirt.io/v1 as far as we read it. */
export interface MachineMigration extends KubeObject {
  /** The VirtualMachineInstance, of the same namespace, that moves. */
  readonly spec?: { readonly vmiName?: string }
  /** `Succeeded` and `Failed` are final. */
  readonly status?: { readonly phase?: string }
}

/** `events.k8s.io` is not used: core/v1 Event, which `kubectl describe` shows. */
export interface EventObject extends KubeObject {
  readonly involvedObject: {
    readonly apiVersion?: string
    readonly kind: string
    readonly name: string
    readonly namespace?: string
    readonly uid?: string
  }
  readonly reason: string
  readonly message: string
  readonly type: 'Normal' | 'Warning'
  readonly count?: number
  readonly firstTimestamp?: string
  readonly lastTimestamp?: string
  readonly source?: { readonly component?: string; readonly host?: string }
}
