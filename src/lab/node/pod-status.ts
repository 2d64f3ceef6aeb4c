import type { Condition, ContainerStatus, Pod } from '../../api/index.ts'
import { unreachable } from '../../base/index.ts'

/** How far the runtime is with a pod. */
export type PodProgress =
  | { readonly kind: 'creating' }
  | { readonly kind: 'without-image'; readonly ips: readonly string[] }
  | {
      readonly kind: 'running'
      readonly ips: readonly string[]
      readonly startedAt: string
      readonly containerId: string
      readonly restartCount: number
    }
  | {
      readonly kind: 'ended'
      readonly ips: readonly string[]
      readonly exitCode: number
      readonly startedAt: string
      readonly finishedAt: string
      readonly containerId: string
    }

export const pauseMessage = 'lab pod: a pause process, no image was pulled'
type Status = NonNullable<Pod['status']>

/** `status` of a pod, whole: the runtime is its only writer, but for conditions of others, which are kept. */
export function podStatus(pod: Pod, progress: PodProgress, hostIp: string, now: string): Status {
  const base = { hostIP: hostIp, hostIPs: [{ ip: hostIp }], startTime: pod.status?.startTime ?? now }
  switch (progress.kind) {
    case 'creating':
    case 'without-image':
      return {
        ...base,
        ...addresses(progress.kind === 'creating' ? [] : progress.ips),
        phase: 'Pending',
        conditions: conditions(pod, progress.kind, now),
        containerStatuses: containers(pod, progress),
      }
    case 'running':
      return {
        ...base,
        ...addresses(progress.ips),
        phase: 'Running',
        message: pauseMessage,
        conditions: conditions(pod, 'running', now),
        containerStatuses: containers(pod, progress),
      }
    case 'ended':
      return {
        ...base,
        ...addresses(progress.ips),
        phase: progress.exitCode === 0 ? 'Succeeded' : 'Failed',
        conditions: conditions(pod, 'ended', now),
        containerStatuses: containers(pod, progress),
      }
    default:
      return unreachable(progress)
  }
}

function addresses(ips: readonly string[]): Pick<Status, 'podIP' | 'podIPs'> {
  const [first] = ips
  return first === undefined ? {} : { podIP: first, podIPs: ips.map((ip) => ({ ip })) }
}

const ownTypes = ['PodReadyToStartContainers', 'Initialized', 'Ready', 'ContainersReady']

function conditions(pod: Pod, kind: PodProgress['kind'], now: string): readonly Condition[] {
  const old = pod.status?.conditions ?? []
  const isRunning = kind === 'running'
  const whyNot = kind === 'ended' ? 'PodCompleted' : 'ContainersNotReady'
  const own = ownTypes.map((type): Condition => {
    const hasSandbox = kind === 'without-image' && type === 'PodReadyToStartContainers'
    const isTrue = type === 'Initialized' || isRunning || hasSandbox
    const status = isTrue ? 'True' : 'False'
    const before = old.find((condition) => condition.type === type)
    const changedAt = before?.status === status ? before.lastTransitionTime : now
    return {
      type,
      status,
      ...(isTrue || type === 'PodReadyToStartContainers' ? {} : { reason: whyNot }),
      lastTransitionTime: changedAt ?? now,
    }
  })
  return [...old.filter(({ type }) => !ownTypes.includes(type)), ...own]
}

function containers(pod: Pod, progress: PodProgress): readonly ContainerStatus[] {
  const list = pod.spec?.containers ?? []
  return list.map(({ name, image = '' }): ContainerStatus => {
    const before = pod.status?.containerStatuses?.find((status) => status.name === name)
    const common = { name, image, imageID: '', restartCount: before?.restartCount ?? 0 }
    switch (progress.kind) {
      case 'creating':
        return { ...common, ready: false, state: { waiting: { reason: 'ContainerCreating' } } }
      case 'without-image':
        return { ...common, ready: false, state: { waiting: noImage(image) } }
      case 'running': {
        const restartCount = Math.max(common.restartCount, progress.restartCount)
        const state = { running: { startedAt: progress.startedAt } }
        return { ...common, restartCount, ready: true, state, ...started(progress.containerId) }
      }
      case 'ended': {
        const { exitCode, startedAt, finishedAt, containerId } = progress
        const reason = exitCode === 0 ? 'Completed' : 'Error'
        const terminated = { exitCode, reason, startedAt, finishedAt, containerID: containerUrl(containerId) }
        return { ...common, ready: false, state: { terminated } }
      }
      default:
        return unreachable(progress)
    }
  })
}

function noImage(image: string): { readonly reason: string; readonly message: string } {
  const message = `no image is in a lab, and "${image}" may not be pulled (imagePullPolicy: Never)`
  return { reason: 'ErrImageNeverPull', message }
}

/** No image is in a lab, so a pod that may not pull one waits for ever, as it would on a node that does not have it. */
export function lacksImage(pod: Pod): boolean {
  return (pod.spec?.containers ?? []).some(({ imagePullPolicy }) => imagePullPolicy === 'Never')
}

function started(containerId: string): object {
  return { started: true, containerID: containerUrl(containerId) }
}

function containerUrl(containerId: string): string {
  return `lab://${containerId}`
}
