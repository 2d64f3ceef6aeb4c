import type { ServerResponse } from 'node:http'
import { stringifyJson } from '../../../base/index.ts'
import type { ServerContext } from '../context.ts'
import type { ResourcePath } from '../http/request-path.ts'
import { apiVersionOf, type Kind, resourceKey } from '../kinds/kind.ts'
import { crdResource } from '../kinds/registry.ts'
import { badRequest, expired, StatusError } from '../status.ts'
import type { EventType, StoredRecord, StoreEvent } from '../store/record.ts'
import type { Answer, Call } from './call.ts'
import { isMatch, type Match, parseMatch } from './match.ts'
import { booleanOption, numberOption, versionOption } from './options.ts'
import { tooOld, viewOf } from './read.ts'
import { objectText, type View } from './view.ts'

const bookmarkMs = 30_000
const defaultWatchSeconds = 1800
/** Bytes that may wait for one slow watcher; beyond it the connection is cut, and the client resumes. */
const maxQueuedBytes = 16 * 1024 * 1024

// One serialised line per event and kind of view, shared by all watchers that see it alike.
const lines = new WeakMap<StoredRecord, Map<string, Buffer>>()

interface Watch {
  readonly context: ServerContext
  readonly view: View
  readonly match: Match
  readonly start: Start
  readonly bookmarks: boolean
  readonly timeoutMs: number
}

interface Start {
  /** Objects that are sent as ADDED first. */
  readonly initial: readonly StoredRecord[]
  /** Changes after that, already committed. */
  readonly events: readonly StoreEvent[]
  /** The version up to which `initial` and `events` tell. */
  readonly version: number
  readonly endInitial: boolean
}

/** Streams changes as JSON lines until the client goes, its time is over or it falls too far behind. */
export async function watchObjects(
  context: ServerContext,
  kind: Kind,
  path: ResourcePath,
  call: Call,
): Promise<Answer> {
  const match = parseMatch(call.query, kind, path.namespace, path.name)
  const seconds = numberOption(call.query, 'timeoutSeconds') ?? 0
  const timeoutMs = (seconds === 0 ? defaultWatchSeconds * (1 + Math.random()) : seconds) * 1000
  const bookmarks = booleanOption(call.query, 'allowWatchBookmarks')
  const view = viewOf(kind, path.version, call)
  // Waits until all that is in memory now is on disk, then takes the start and subscribes within one turn.
  await context.store.durable(context.store.head)
  return {
    kind: 'stream',
    run: (response) => {
      const start = startOrError(context, kind, path.namespace, call.query)
      if (start instanceof StatusError) return endWithError(response, start)
      return runWatch({ context, view, match, start, bookmarks, timeoutMs }, response, call.signal)
    },
  }
}

// As API servers do, a version that is too old is told inside the stream: 200, one ERROR event, end.
function startOrError(
  context: ServerContext,
  kind: Kind,
  namespace: string,
  query: URLSearchParams,
): Start | StatusError {
  try {
    return startOf(context, kind, namespace, query)
  } catch (error) {
    if (error instanceof StatusError && error.status === 410) return error
    throw error
  }
}

async function endWithError(response: ServerResponse, error: StatusError): Promise<void> {
  response.writeHead(200, streamHeaders)
  response.end(`${stringifyJson({ type: 'ERROR', object: error.toStatus() })}\n`)
}

const streamHeaders = { 'Content-Type': 'application/json', 'Cache-Control': 'no-cache, private' }

function startOf(context: ServerContext, kind: Kind, namespace: string, query: URLSearchParams): Start {
  const { store } = context
  const resource = resourceKey(kind)
  const wanted = versionOption(query)
  const sendInitial = query.get('sendInitialEvents')
  if (sendInitial !== null) {
    if (query.get('resourceVersionMatch') !== 'NotOlderThan')
      throw badRequest('sendInitialEvents needs resourceVersionMatch=NotOlderThan')
    if (!booleanOption(query, 'allowWatchBookmarks'))
      throw badRequest('sendInitialEvents needs allowWatchBookmarks=true')
  }
  const everything = sendInitial === null ? (wanted ?? 0) === 0 : booleanOption(query, 'sendInitialEvents')
  if (everything) {
    const version = store.committed
    // What is in memory but not on disk yet comes as an event after its commit.
    const initial = store.listAt(resource, version, namespace) ?? store.list(resource, namespace)
    return { initial, events: [], version, endInitial: sendInitial !== null }
  }
  const from = wanted === undefined || wanted === 0 ? store.committed : wanted
  if (from > store.head)
    throw expired(`too large resource version: ${from}, current: ${store.head}; list again`)
  const events = store.changesSince(resource, from)
  if (events === undefined) throw tooOld(from, store.compactedVersion(resource))
  return { initial: [], events, version: from, endInitial: false }
}

async function runWatch(watch: Watch, response: ServerResponse, signal: AbortSignal): Promise<void> {
  const { context, view } = watch
  const writer = new Writer(watch, response)
  const { promise, resolve } = Promise.withResolvers<void>()
  const end = (): void => resolve()
  response.writeHead(200, streamHeaders)
  response.flushHeaders()
  const unsubscribe = context.store.subscribe(resourceKey(view.kind), (event) => {
    if (!writer.send(event)) end()
  })
  const undefine = context.store.subscribe(crdResource, ({ type, record }) => {
    if (type === 'DELETED' && record.name === `${view.kind.plural}.${view.kind.group}`) end()
  })
  const timer = setTimeout(() => {
    // The client comes back: the bookmark saves it from reading again what it has.
    writer.bookmark(false)
    end()
  }, watch.timeoutMs)
  const bookmark = setInterval(() => writer.bookmark(false), bookmarkMs)
  signal.addEventListener('abort', end, { once: true })
  response.once('close', end)
  try {
    writer.begin()
    await promise
  } finally {
    unsubscribe()
    undefine()
    clearTimeout(timer)
    clearInterval(bookmark)
    signal.removeEventListener('abort', end)
    response.end()
  }
}

/** Writes the events that one watcher wants, and cuts him off when he does not read them. */
class Writer {
  readonly #watch: Watch
  readonly #response: ServerResponse
  readonly #viewKey: string
  #version: number
  #isFirst = true

  constructor(watch: Watch, response: ServerResponse) {
    const { view } = watch
    this.#watch = watch
    this.#response = response
    this.#version = watch.start.version
    this.#viewKey = view.format.kind === 'object' ? view.version : ''
  }

  begin(): void {
    const { start } = this.#watch
    for (const record of start.initial) {
      if (isMatch(this.#watch.match, this.#watch.view.kind, record.object)) this.#write('ADDED', record)
    }
    if (start.endInitial) this.bookmark(true)
    for (const event of start.events) this.send(event)
  }

  /** @returns false when the watcher is cut off */
  send(event: StoreEvent): boolean {
    if (event.version <= this.#version) return true
    this.#version = event.version
    const type = this.#typeFor(event)
    if (type === undefined) return true
    const shown = type === 'DELETED' && event.type !== 'DELETED' ? lastMatching(event) : event.record
    this.#write(type, shown)
    if (this.#response.writableLength <= maxQueuedBytes) return true
    this.#watch.context.logger.warn('watcher too slow', { queuedBytes: this.#response.writableLength })
    this.#response.destroy()
    return false
  }

  bookmark(isInitialEnd: boolean): void {
    const { view, bookmarks, context } = this.#watch
    if (!bookmarks) return
    const { kind, version } = view
    this.#version = Math.max(this.#version, context.store.committed)
    const metadata = {
      resourceVersion: String(this.#version),
      creationTimestamp: null,
      ...(isInitialEnd ? { annotations: { 'k8s.io/initial-events-end': 'true' } } : {}),
    }
    const object = { kind: kind.kind, apiVersion: apiVersionOf(kind.group, version), metadata }
    this.#response.write(`${stringifyJson({ type: 'BOOKMARK', object })}\n`)
  }

  // An object that starts or stops to match the selectors is added or deleted as far as this watcher sees.
  #typeFor(event: StoreEvent): EventType | undefined {
    const { match, view } = this.#watch
    const before = event.previous !== undefined && isMatch(match, view.kind, event.previous.object)
    const after = event.type !== 'DELETED' && isMatch(match, view.kind, event.record.object)
    if (before) return after ? 'MODIFIED' : 'DELETED'
    return after ? 'ADDED' : undefined
  }

  #write(type: EventType, record: StoredRecord): void {
    const { view } = this.#watch
    if (this.#viewKey === '') {
      this.#response.write(line(type, objectText(record, view, this.#isFirst)))
      this.#isFirst = false
      return
    }
    let known = lines.get(record)
    if (known === undefined) {
      known = new Map()
      lines.set(record, known)
    }
    const key = `${type} ${this.#viewKey}`
    let bytes = known.get(key)
    if (bytes === undefined) {
      bytes = Buffer.from(line(type, objectText(record, view)))
      known.set(key, bytes)
    }
    this.#response.write(bytes)
  }
}

// Leaving the selection is reported with the last state that matched, at the version of the change.
function lastMatching(event: StoreEvent): StoredRecord {
  const { previous, record } = event
  if (previous === undefined) return record
  const metadata = { ...previous.object.metadata, resourceVersion: String(event.version) }
  const object = { ...previous.object, metadata }
  return { ...previous, version: event.version, object, text: stringifyJson(object) }
}

function line(type: EventType, text: string): string {
  return `{"type":"${type}","object":${text}}\n`
}
