import type { ServerContext } from './context.ts'
import { objectAt, stringAt } from './schema/record.ts'
import type { StoredRecord } from './store/record.ts'

const lifeMs = 3_600_000
const sweepMs = 60_000
const resource = '/events'

/** Removes Events an hour after they were last seen, until the server stops. */
export async function expireEvents(context: ServerContext): Promise<void> {
  const { stopping, clock, store } = context
  while (!stopping.aborted) {
    const isOver = await clock.sleep(sweepMs, stopping).then(
      () => false,
      () => true,
    )
    if (isOver) return
    const before = clock.nowMs() - lifeMs
    for (const record of store.list(resource)) {
      if (lastSeenMs(record) < before) store.remove(resource, record.key, record.version)
    }
  }
}

function lastSeenMs(record: StoredRecord): number {
  const { object } = record
  const times = [
    stringAt(objectAt(object, 'series'), 'lastObservedTime'),
    stringAt(object, 'lastTimestamp'),
    stringAt(object, 'eventTime'),
    object.metadata.creationTimestamp,
  ]
  return Math.max(0, ...times.map((time) => Date.parse(time ?? '')).filter((ms) => !Number.isNaN(ms)))
}
