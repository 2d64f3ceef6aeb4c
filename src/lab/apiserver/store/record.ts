import type { ApiObject } from '../object.ts'

/** One stored state of one object. `text` is its JSON, with the resourceVersion in it. */
export interface StoredRecord {
  readonly resource: string // group/plural
  readonly key: string // namespace/name, or the name of a cluster-scoped object
  readonly namespace: string
  readonly name: string
  readonly version: number
  readonly object: ApiObject
  readonly text: string
}

export type EventType = 'ADDED' | 'MODIFIED' | 'DELETED'

/** One committed or about to be committed change. For DELETED `record` is the last state, at the version of the deletion. */
export interface StoreEvent {
  readonly type: EventType
  readonly version: number
  readonly record: StoredRecord
  readonly previous: StoredRecord | undefined
}

export function recordKey(namespace: string, name: string): string {
  return namespace === '' ? name : `${namespace}/${name}`
}
