import { randomUUID } from 'node:crypto'
import { type EventObject, resources } from '../api/index.ts'
import { type Clock, deadlineAfter, type Logger } from '../base/index.ts'
import type { KubeApi } from '../kube/index.ts'
import type { PodIdentity } from './pod-identity.ts'

/** Tells the users of a pod what happened to it. */
export interface PodEvents {
  record(pod: PodIdentity, type: 'Normal' | 'Warning', reason: string, message: string): void
  /** Sends what is queued, for at most `graceMs`. */
  close(graceMs: number): Promise<void>
}

const maxQueued = 500
const maxMessageCharacters = 1000
const sendBudgetMs = 10_000
// The same event of the same pod: kubelet repeats a failing ADD for as long as the pod lives.
const repeatPauseMs = 60_000
const maxRemembered = 2000

interface Options {
  readonly kube: KubeApi
  readonly node: string
  readonly clock: Clock
  readonly logger: Logger
}

/** Events are sent one after the other, behind the ADD that they tell of; too many are dropped, and counted. */
export function createPodEvents(options: Options): PodEvents {
  const { kube, clock, logger } = options
  const queue: EventObject[] = []
  const sent = new Map<string, number>()
  const stop = new AbortController()
  let dropped = 0
  let running: Promise<void> = Promise.resolve()
  let isRunning = false

  const drain = async (): Promise<void> => {
    for (let event = queue.shift(); event !== undefined; event = queue.shift()) {
      using deadline = deadlineAfter(sendBudgetMs, stop.signal)
      try {
        await kube.create(resources.event, event, deadline.signal)
      } catch (error) {
        logger.warn('event is lost', { reason: event.reason, pod: event.involvedObject.name, err: error })
      }
    }
    isRunning = false
  }

  return {
    record: (pod, type, reason, message) => {
      const key = `${pod.podNamespace}/${pod.podName} ${pod.podUid} ${reason} ${message}`
      const now = clock.nowMs()
      if (now - (sent.get(key) ?? Number.NEGATIVE_INFINITY) < repeatPauseMs) return
      if (queue.length >= maxQueued) {
        dropped++
        if (dropped === 1 || dropped % 100 === 0) logger.warn('events are dropped', { count: dropped })
        return
      }
      sent.delete(key)
      sent.set(key, now)
      const [oldest] = sent.keys()
      if (sent.size > maxRemembered && oldest !== undefined) sent.delete(oldest)
      queue.push(eventOf(options.node, pod, { type, reason, message, now }))
      if (isRunning) return
      isRunning = true
      running = drain()
    },
    close: async (graceMs) => {
      const timer = setTimeout(() => {
        stop.abort()
      }, graceMs)
      await running
      clearTimeout(timer)
    },
  }
}

function eventOf(
  node: string,
  pod: PodIdentity,
  content: { type: 'Normal' | 'Warning'; reason: string; message: string; now: number },
): EventObject {
  const time = new Date(content.now).toISOString().replace(/\.\d+Z$/, 'Z')
  return {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: {
      name: `${pod.podName.slice(0, 200)}.${randomUUID().slice(0, 18)}`,
      namespace: pod.podNamespace,
    },
    involvedObject: {
      apiVersion: 'v1',
      kind: 'Pod',
      name: pod.podName,
      namespace: pod.podNamespace,
      ...(pod.podUid === '' ? {} : { uid: pod.podUid }),
    },
    reason: content.reason,
    message: content.message.slice(0, maxMessageCharacters),
    type: content.type,
    count: 1,
    firstTimestamp: time,
    lastTimestamp: time,
    source: { component: 'spiderpool-agent', host: node },
  }
}
