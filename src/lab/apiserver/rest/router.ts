import { stringifyJson } from '../../../base/index.ts'
import { answerReview } from '../auth/reviews.ts'
import type { ServerContext } from '../context.ts'
import {
  aggregatedVersion,
  coreVersions,
  groupDiscovery,
  groupDocument,
  groupList,
  resourceList,
  versionDocument,
} from '../discovery/discovery.ts'
import { openApiDocument } from '../discovery/openapi.ts'
import { reviewResources } from '../discovery/review-resources.ts'
import { parseContent } from '../http/read-body.ts'
import { parseResourcePath, type ResourcePath, splitPath } from '../http/request-path.ts'
import type { Kind } from '../kinds/kind.ts'
import { methodNotAllowed, pathNotFound, StatusError } from '../status.ts'
import type { StoredRecord } from '../store/record.ts'
import { type Answer, type Call, jsonAnswer } from './call.ts'
import { createObject, refuseTerminatingCrd } from './create.ts'
import { deletedStatus, deleteObject, readDeleteOptions } from './delete.ts'
import { hasStatus } from './finish.ts'
import { booleanOption } from './options.ts'
import { patchObject } from './patch.ts'
import { getObject, listObjects, readPage, viewOf } from './read.ts'
import { answerSubresource } from './subresources.ts'
import { replaceObject } from './update.ts'
import { listText, objectText } from './view.ts'
import { watchObjects } from './watch.ts'

const created = 201
const deletesAtOnce = 64

/** Answers one authenticated request. @throws {StatusError} for a request that is refused */
export async function route(context: ServerContext, call: Call): Promise<Answer> {
  const segments = splitPath(call.path)
  const [root, first, second, ...rest] = segments
  if (root === 'api' && first === 'v1') {
    const path = segments.slice(2)
    if (path.length > 0) return routeResource(context, parseResourcePath('', 'v1', path), call)
  }
  if (root === 'apis' && first !== undefined && second !== undefined && rest.length > 0)
    return routeResource(context, parseResourcePath(first, second, rest), call)
  if (call.method !== 'GET' && call.method !== 'HEAD') throw methodNotAllowed(call.method)
  return routeDocument(context, segments, call)
}

function routeDocument(context: ServerContext, segments: readonly string[], call: Call): Answer {
  const [root, first, second, third] = segments
  switch (root) {
    case undefined:
      return jsonAnswer(stringifyJson({ paths: rootPaths }))
    case 'version':
      return jsonAnswer(versionDocument())
    case 'openapi':
      return openApiDocument(context, segments.slice(1))
    case 'api': {
      if (first === 'v1' && second === undefined) return jsonAnswer(resourceList(context, '', 'v1'))
      if (first !== undefined) throw pathNotFound()
      const version = aggregatedVersion(call.accept)
      return version === undefined
        ? jsonAnswer(coreVersions())
        : discoveryAnswer(groupDiscovery(context, true, version), version)
    }
    case 'apis': {
      if (third !== undefined) throw pathNotFound()
      if (first !== undefined && second !== undefined) return jsonAnswer(resourceList(context, first, second))
      if (first !== undefined) return jsonAnswer(groupDocument(context, first))
      const version = aggregatedVersion(call.accept)
      return version === undefined
        ? jsonAnswer(groupList(context))
        : discoveryAnswer(groupDiscovery(context, false, version), version)
    }
    default:
      throw pathNotFound()
  }
}

const rootPaths = ['/api', '/api/v1', '/apis', '/healthz', '/livez', '/openapi/v3', '/readyz', '/version']

function discoveryAnswer(text: string, version: string): Answer {
  const contentType = `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`
  return { kind: 'json', status: 200, text, contentType }
}

function routeResource(context: ServerContext, path: ResourcePath, call: Call): Promise<Answer> {
  const kind = context.registry.find(path.group, path.version, path.plural)
  if (kind === undefined) {
    const review = reviewResources.find(
      ({ group, version, plural }) =>
        group === path.group && version === path.version && plural === path.plural,
    )
    if (review === undefined) throw pathNotFound()
    if (call.method !== 'POST') throw methodNotAllowed(call.method)
    return Promise.resolve(answerReview(context, review, call))
  }
  if (!kind.namespaced && path.namespace !== '') throw pathNotFound()
  if (path.name === '') return routeCollection(context, kind, path, call)
  if (kind.namespaced && path.namespace === '') throw pathNotFound()
  if (path.subresource !== '' && path.subresource !== 'status')
    return answerSubresource(context, kind, path, call)
  if (path.subresource === 'status' && !hasStatus(kind, path.version)) throw pathNotFound()
  return routeObject(context, kind, path, call)
}

async function routeCollection(
  context: ServerContext,
  kind: Kind,
  path: ResourcePath,
  call: Call,
): Promise<Answer> {
  switch (call.method) {
    case 'GET':
      return booleanOption(call.query, 'watch')
        ? watchObjects(context, kind, path, call)
        : listObjects(context, kind, path, call)
    case 'POST': {
      refuseTerminatingCrd(context, kind)
      const record = await createObject(
        context,
        { kind, path },
        call,
        parseContent(call.body, call.contentType),
      )
      return jsonAnswer(objectText(record, viewOf(kind, path.version, call)), created)
    }
    case 'DELETE':
      return deleteCollection(context, kind, path, call)
    default:
      throw methodNotAllowed(call.method)
  }
}

// Somebody else deleted it meanwhile: that is what was wanted.
function unlessGone(error: unknown): undefined {
  if (!(error instanceof StatusError) || error.status !== 404) throw error
}

async function deleteCollection(
  context: ServerContext,
  kind: Kind,
  path: ResourcePath,
  call: Call,
): Promise<Answer> {
  const options = readDeleteOptions(call)
  const page = await readPage(context, kind, path, call)
  const records: StoredRecord[] = []
  for (let start = 0; start < page.records.length; start += deletesAtOnce) {
    const batch = page.records.slice(start, start + deletesAtOnce)
    const deleted = batch.map(({ namespace, name }) =>
      deleteObject(context, { kind, path: { ...path, namespace, name } }, call, options).catch(unlessGone),
    )
    for (const done of await Promise.all(deleted)) if (done !== undefined) records.push(done.record)
  }
  const metadata = { resourceVersion: String(context.store.committed) }
  return jsonAnswer(listText(records, viewOf(kind, path.version, call), metadata))
}

async function routeObject(
  context: ServerContext,
  kind: Kind,
  path: ResourcePath,
  call: Call,
): Promise<Answer> {
  const view = viewOf(kind, path.version, call)
  switch (call.method) {
    case 'GET':
      return booleanOption(call.query, 'watch')
        ? watchObjects(context, kind, path, call)
        : getObject(context, kind, path, call)
    case 'PUT': {
      const body = parseContent(call.body, call.contentType)
      const record = await replaceObject(context, { kind, path }, call, body)
      return jsonAnswer(objectText(record, view))
    }
    case 'PATCH': {
      const { record, isNew } = await patchObject(context, kind, path, call)
      return jsonAnswer(objectText(record, view), isNew ? created : 200)
    }
    case 'DELETE': {
      if (path.subresource !== '') throw methodNotAllowed(call.method)
      const { record, isGone } = await deleteObject(context, { kind, path }, call, readDeleteOptions(call))
      const isPod = kind.group === '' && kind.plural === 'pods'
      if (isGone && !isPod) return jsonAnswer(stringifyJson(deletedStatus(kind, record)))
      return jsonAnswer(objectText(record, view))
    }
    default:
      throw methodNotAllowed(call.method)
  }
}
