import type { ServerContext } from '../context.ts'
import { negotiate } from '../http/accept.ts'
import type { ResourcePath } from '../http/request-path.ts'
import { type Kind, resourceKey, subjectOf } from '../kinds/kind.ts'
import type { JsonObject } from '../schema/record.ts'
import { badRequest, expired, notFound, StatusError } from '../status.ts'
import { recordKey, type StoredRecord } from '../store/record.ts'
import { type Answer, type Call, jsonAnswer } from './call.ts'
import { isMatch, parseMatch } from './match.ts'
import { numberOption, versionOption } from './options.ts'
import { listText, objectText, type View } from './view.ts'

/** How this caller wants to see objects of a kind. */
export function viewOf(kind: Kind, version: string, call: Call): View {
  const include = call.query.get('includeObject')
  if (include !== null && !['', 'None', 'Metadata', 'Object'].includes(include))
    throw badRequest(
      `Invalid value: ${JSON.stringify(include)}: includeObject must be None, Metadata or Object`,
    )
  return {
    kind,
    version,
    format: negotiate(call.accept),
    table: { includeObject: include ?? '', clockMs: Date.now() },
  }
}

/** @throws {StatusError} 404 */
export function findRecord(
  context: ServerContext,
  kind: Kind,
  { namespace, name }: { readonly namespace: string; readonly name: string },
): StoredRecord {
  const record = context.store.get(resourceKey(kind), recordKey(kind.namespaced ? namespace : '', name))
  if (record === undefined) throw notFound(subjectOf(kind, name))
  return record
}

export async function getObject(
  context: ServerContext,
  kind: Kind,
  path: ResourcePath,
  call: Call,
): Promise<Answer> {
  refuseFuture(context, versionOption(call.query))
  const record = findRecord(context, kind, path)
  // Read before it is on disk, it could still be taken back by a crash.
  await context.store.durable(record.version)
  return jsonAnswer(objectText(record, viewOf(kind, path.version, call)))
}

interface Page {
  readonly records: readonly StoredRecord[]
  readonly version: number
  readonly next: string | undefined
  readonly remaining: number
}

export async function listObjects(
  context: ServerContext,
  kind: Kind,
  path: ResourcePath,
  call: Call,
): Promise<Answer> {
  const page = await readPage(context, kind, path, call)
  const metadata: JsonObject = {
    resourceVersion: String(page.version),
    ...(page.next === undefined ? {} : { continue: page.next, remainingItemCount: page.remaining }),
  }
  return jsonAnswer(listText(page.records, viewOf(kind, path.version, call), metadata))
}

/** One page of matching records, as they were at one version. */
export async function readPage(
  context: ServerContext,
  kind: Kind,
  path: ResourcePath,
  call: Call,
): Promise<Page> {
  const { store } = context
  const match = parseMatch(call.query, kind, path.namespace)
  const limit = numberOption(call.query, 'limit') ?? 0
  const start = snapshot(context, kind, path, call)
  const matching = start.records.filter((record) => isMatch(match, kind, record.object))
  await store.durable(start.version)
  const from = start.after === undefined ? matching : matching.filter(({ key }) => key > (start.after ?? ''))
  if (limit === 0 || from.length <= limit)
    return { records: from, version: start.version, next: undefined, remaining: 0 }
  const records = from.slice(0, limit)
  const next = encodeToken({ version: start.version, after: records.at(-1)?.key ?? '' })
  return { records, version: start.version, next, remaining: from.length - limit }
}

interface Token {
  readonly version: number
  readonly after: string
}

function snapshot(
  context: ServerContext,
  kind: Kind,
  path: ResourcePath,
  call: Call,
): { readonly records: readonly StoredRecord[]; readonly version: number; readonly after?: string } {
  const { store } = context
  const resource = resourceKey(kind)
  const text = call.query.get('continue') ?? ''
  const wanted = versionOption(call.query)
  if (text !== '') {
    if (wanted !== undefined && wanted !== 0)
      throw badRequest('specifying resource version is not allowed when using continue')
    const token = decodeToken(text)
    const records =
      token.version > store.head ? undefined : store.listAt(resource, token.version, path.namespace)
    if (records === undefined) {
      throw expired(
        'The provided continue parameter is too old to display a consistent list result. ' +
          'You must start a new list without the continue parameter.',
      )
    }
    return { records, ...token }
  }
  checkMatch(call.query, wanted)
  refuseFuture(context, wanted)
  if (call.query.get('resourceVersionMatch') === 'Exact' && wanted !== undefined) {
    const records = store.listAt(resource, wanted, path.namespace)
    if (records === undefined) throw tooOld(wanted, store.compactedVersion(resource))
    return { records, version: wanted }
  }
  return { records: store.list(resource, path.namespace), version: store.head }
}

function checkMatch(query: URLSearchParams, wanted: number | undefined): void {
  const rule = query.get('resourceVersionMatch') ?? ''
  if (rule === '') return
  if (rule !== 'Exact' && rule !== 'NotOlderThan') {
    const problem = 'resourceVersionMatch must be Exact or NotOlderThan'
    throw badRequest(`Invalid value: ${JSON.stringify(rule)}: ${problem}`)
  }
  if (wanted === undefined && query.get('sendInitialEvents') === null)
    throw badRequest('resourceVersionMatch is forbidden unless resourceVersion is provided')
  if (rule === 'Exact' && wanted === 0)
    throw badRequest('resourceVersionMatch "Exact" is forbidden for resourceVersion "0"')
}

/** @throws {StatusError} 504 when a client knows a version that this server never gave out */
function refuseFuture(context: ServerContext, wanted: number | undefined): void {
  if (wanted === undefined || wanted <= context.store.head) return
  const message = `Too large resource version: ${wanted}, current: ${context.store.head}`
  throw new StatusError(504, 'Timeout', message, {
    causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version', field: '' }],
    retryAfterSeconds: 1,
  })
}

export function tooOld(version: number, compacted: number): StatusError {
  return expired(`too old resource version: ${version} (${compacted})`)
}

function encodeToken(token: Token): string {
  return Buffer.from(JSON.stringify({ v: 'meta.k8s.io/v1', rv: token.version, start: token.after })).toString(
    'base64url',
  )
}

function decodeToken(text: string): Token {
  try {
    const value: unknown = JSON.parse(Buffer.from(text, 'base64url').toString())
    if (typeof value === 'object' && value !== null && 'rv' in value && 'start' in value) {
      const { rv, start } = value
      if (Number.isSafeInteger(rv) && typeof start === 'string') return { version: Number(rv), after: start }
    }
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
  }
  throw badRequest(
    `continue key is not valid: ${JSON.stringify(text.slice(0, 100))}; send what a list answered, unchanged`,
  )
}
