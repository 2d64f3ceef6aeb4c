import { createHash } from 'node:crypto'
import { type EventObject, type ObjectMeta, resources } from '../api/index.ts'
import { type Clock, type Logger, toError } from '../base/index.ts'
import type { KubeApi } from '../kube/index.ts'

const maxWaiting = 2_000
const maxMessageCharacters = 1_024
const maxRemembered = 5_000
const writeTimeoutMs = 10_000
/** The same event on the same object is written at most this often; the count goes on in memory. */
const quietMs = 10_000

/** The object an event is about. */
export interface EventSubject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: Pick<ObjectMeta, 'name' | 'namespace' | 'uid'>
}

/** Says something about an object to the people who look at it. Never fails, never blocks; bounded. */
export interface EventRecorder {
  event(subject: EventSubject, type: 'Normal' | 'Warning', reason: string, message: string): void
  close(): Promise<void>
}

interface Remembered {
  count: number
  firstMs: number
  writtenMs: number
}

/** Writes core/v1 Events, the same text on the same object as one event with a count. */
export function createEventRecorder(
  api: KubeApi,
  component: string,
  clock: Clock,
  logger: Logger,
): EventRecorder {
  const seen = new Map<string, Remembered>()
  const waiting: EventObject[] = []
  let worker: Promise<void> | undefined
  let isClosed = false

  const write = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      await writeEvent(api, next).catch((error: unknown) => {
        logger.warn('event could not be written', { reason: next.reason, err: toError(error) })
      })
    }
  }

  return {
    event(subject, type, reason, message) {
      const text =
        message.length > maxMessageCharacters ? `${message.slice(0, maxMessageCharacters - 3)}...` : message
      const name = eventName(subject, reason, text)
      const nowMs = clock.nowMs()
      const before = seen.get(name)
      const entry = before ?? { count: 0, firstMs: nowMs, writtenMs: 0 }
      entry.count++
      seen.delete(name)
      seen.set(name, entry)
      const oldest = seen.keys().next()
      if (seen.size > maxRemembered && oldest.done !== true) seen.delete(oldest.value)
      if (isClosed || waiting.length >= maxWaiting || nowMs - entry.writtenMs < quietMs) return
      entry.writtenMs = nowMs
      waiting.push(eventObject(subject, { name, type, reason, text, component, nowMs, ...entry }))
      worker ??= write().finally(() => {
        worker = undefined
      })
    },
    async close() {
      isClosed = true
      await worker
    },
  }
}

function eventName(subject: EventSubject, reason: string, text: string): string {
  const { kind, metadata } = subject
  const hash = createHash('sha256')
    .update([kind, metadata.uid ?? '', reason, text].join('\0'))
    .digest('hex')
  return `${metadata.name.slice(0, 230)}.${hash.slice(0, 16)}`
}

interface EventText {
  readonly name: string
  readonly type: 'Normal' | 'Warning'
  readonly reason: string
  readonly text: string
  readonly component: string
  readonly nowMs: number
  readonly firstMs: number
  readonly count: number
}

function eventObject({ apiVersion, kind, metadata }: EventSubject, about: EventText): EventObject {
  const { name, namespace, uid } = metadata
  return {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name: about.name, namespace: namespace ?? 'default' },
    involvedObject: {
      apiVersion,
      kind,
      name,
      ...(namespace === undefined ? {} : { namespace }),
      ...(uid === undefined ? {} : { uid }),
    },
    reason: about.reason,
    message: about.text,
    type: about.type,
    count: about.count,
    firstTimestamp: isoSeconds(about.firstMs),
    lastTimestamp: isoSeconds(about.nowMs),
    source: { component: about.component },
  }
}

/** metav1.Time has seconds only. */
function isoSeconds(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`
}

async function writeEvent(api: KubeApi, event: EventObject): Promise<void> {
  const signal = AbortSignal.timeout(writeTimeoutMs)
  const { name, namespace } = event.metadata
  const ref = { name, ...(namespace === undefined ? {} : { namespace }) }
  if ((event.count ?? 1) > 1) {
    const { count, lastTimestamp } = event
    const known = await api.get(resources.event, ref, signal)
    if (known !== undefined) {
      await api.patch(resources.event, ref, { type: 'merge', body: { count, lastTimestamp } }, signal)
      return
    }
  }
  await api.create(resources.event, event, signal).catch(async (error: unknown) => {
    if ((await api.get(resources.event, ref, signal)) === undefined) throw error
  })
}
