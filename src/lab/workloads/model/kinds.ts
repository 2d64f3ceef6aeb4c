import {
  type Condition,
  type KubeObject,
  type LabelExpression,
  type LabelSelector,
  type Node,
  type Pod,
  type Resource,
  resources,
} from '../../../api/index.ts'

// Kubernetes' own workload kinds, as far as the controllers read them. Field names are the API's.

export interface NodeSelectorTerm {
  readonly matchExpressions?: readonly LabelExpression[]
  readonly matchFields?: readonly LabelExpression[]
}

export interface NodeSelector {
  readonly nodeSelectorTerms?: readonly NodeSelectorTerm[]
}

export interface PodSpec extends NonNullable<Pod['spec']> {
  readonly affinity?: {
    readonly nodeAffinity?: { readonly requiredDuringSchedulingIgnoredDuringExecution?: NodeSelector }
  }
  readonly schedulerName?: string
  readonly schedulingGates?: readonly { readonly name: string }[]
  readonly hostname?: string
  readonly subdomain?: string
}

export interface WorkloadPod extends Pod {
  readonly spec?: PodSpec
}

export interface PodTemplate {
  readonly metadata?: {
    readonly labels?: Readonly<Record<string, string>>
    readonly annotations?: Readonly<Record<string, string>>
    readonly finalizers?: readonly string[]
  }
  readonly spec?: PodSpec
}

export type IntOrPercent = number | string

export interface ReplicaSet extends KubeObject {
  readonly spec?: {
    readonly replicas?: number
    readonly minReadySeconds?: number
    readonly selector?: LabelSelector
    readonly template?: PodTemplate
  }
  readonly status?: ReplicaSetStatus
}

export interface ReplicaSetStatus {
  readonly observedGeneration?: number
  readonly replicas?: number
  readonly fullyLabeledReplicas?: number
  readonly readyReplicas?: number
  readonly availableReplicas?: number
  readonly conditions?: readonly Condition[]
}

export interface Deployment extends KubeObject {
  readonly spec?: {
    readonly replicas?: number
    readonly paused?: boolean
    readonly minReadySeconds?: number
    readonly revisionHistoryLimit?: number
    readonly progressDeadlineSeconds?: number
    readonly selector?: LabelSelector
    readonly template?: PodTemplate
    readonly strategy?: {
      readonly type?: string
      readonly rollingUpdate?: { readonly maxSurge?: IntOrPercent; readonly maxUnavailable?: IntOrPercent }
    }
  }
  readonly status?: DeploymentStatus
}

export interface DeploymentCondition extends Condition {
  readonly lastUpdateTime?: string
}

export interface DeploymentStatus {
  readonly observedGeneration?: number
  readonly replicas?: number
  readonly updatedReplicas?: number
  readonly readyReplicas?: number
  readonly availableReplicas?: number
  readonly unavailableReplicas?: number
  readonly conditions?: readonly DeploymentCondition[]
  readonly collisionCount?: number
}

export interface StatefulSet extends KubeObject {
  readonly spec?: {
    readonly replicas?: number
    readonly ordinals?: { readonly start?: number }
    readonly serviceName?: string
    readonly podManagementPolicy?: string
    readonly minReadySeconds?: number
    readonly revisionHistoryLimit?: number
    readonly selector?: LabelSelector
    readonly template?: PodTemplate
    readonly updateStrategy?: {
      readonly type?: string
      readonly rollingUpdate?: { readonly partition?: number }
    }
  }
  readonly status?: StatefulSetStatus
}

export interface StatefulSetStatus {
  readonly observedGeneration?: number
  readonly replicas?: number
  readonly readyReplicas?: number
  readonly availableReplicas?: number
  readonly currentReplicas?: number
  readonly updatedReplicas?: number
  readonly currentRevision?: string
  readonly updateRevision?: string
}

export interface DaemonSet extends KubeObject {
  readonly spec?: {
    readonly minReadySeconds?: number
    readonly revisionHistoryLimit?: number
    readonly selector?: LabelSelector
    readonly template?: PodTemplate
    readonly updateStrategy?: {
      readonly type?: string
      readonly rollingUpdate?: { readonly maxUnavailable?: IntOrPercent }
    }
  }
  readonly status?: DaemonSetStatus
}

export interface DaemonSetStatus {
  readonly observedGeneration?: number
  readonly currentNumberScheduled?: number
  readonly desiredNumberScheduled?: number
  readonly numberMisscheduled?: number
  readonly numberReady?: number
  readonly numberAvailable?: number
  readonly numberUnavailable?: number
  readonly updatedNumberScheduled?: number
}

export interface Job extends KubeObject {
  readonly spec?: {
    readonly parallelism?: number
    readonly completions?: number
    readonly completionMode?: string
    readonly backoffLimit?: number
    readonly activeDeadlineSeconds?: number
    readonly ttlSecondsAfterFinished?: number
    readonly suspend?: boolean
    readonly selector?: LabelSelector
    readonly template?: PodTemplate
  }
  readonly status?: JobStatus
}

export interface JobStatus {
  readonly active?: number
  readonly ready?: number
  readonly succeeded?: number
  readonly failed?: number
  readonly startTime?: string
  readonly completionTime?: string
  readonly completedIndexes?: string
  readonly conditions?: readonly Condition[]
  readonly uncountedTerminatedPods?: {
    readonly succeeded?: readonly string[]
    readonly failed?: readonly string[]
  }
}

/** The template of an earlier time, kept for the pods that still follow it and for `kubectl rollout undo`. */
export interface ControllerRevision extends KubeObject {
  readonly revision: number
  readonly data?: { readonly spec?: { readonly template?: PodTemplate } }
}

export interface LabNode extends Node {
  readonly status?: Node['status'] & { readonly allocatable?: { readonly pods?: string | number } }
}

export const controllerRevisionResource: Resource = {
  ...resources.replicaSet,
  plural: 'controllerrevisions',
  kind: 'ControllerRevision',
}
