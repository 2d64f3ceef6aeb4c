import type { ServerContext } from '../context.ts'
import { parseBody, unsupportedMediaType } from '../http/read-body.ts'
import type { ResourcePath } from '../http/request-path.ts'
import { apiVersionOf, type Kind, resourceKey, subjectOf } from '../kinds/kind.ts'
import type { ApiObject } from '../object.ts'
import { builtInSchema, customSchema } from '../schema/openapi/documents.ts'
import { applyPatch, type PatchKind, type PatchTarget } from '../schema/patch/apply-patch.ts'
import { PatchError } from '../schema/patch/patch-error.ts'
import { isObject, type JsonObject } from '../schema/record.ts'
import { badRequest, notFound, StatusError } from '../status.ts'
import { recordKey, type StoredRecord } from '../store/record.ts'
import type { Call } from './call.ts'
import { createObject, refuseTerminatingCrd } from './create.ts'
import { updateObject } from './update.ts'

const types: Readonly<Record<string, PatchKind>> = {
  'application/merge-patch+json': 'merge',
  'application/json-patch+json': 'json',
  'application/strategic-merge-patch+json': 'strategic',
  'application/apply-patch+yaml': 'apply',
  'application/apply-patch+json': 'apply',
}

/** What came of a patch: apply may create. */
export interface Patched {
  readonly record: StoredRecord
  readonly isNew: boolean
}

/** PATCH of any type, on an object or its status. @throws {StatusError} */
export async function patchObject(
  context: ServerContext,
  kind: Kind,
  path: ResourcePath,
  call: Call,
): Promise<Patched> {
  const patch = readPatch(call)
  const target = targetOf(context, kind, path, call)
  if (patch.type === 'apply') return applyObject(context, kind, { path, call, body: patch.body, target })
  const record = await updateObject(context, { kind, path }, call, (current) =>
    runPatch(kind, path.name, () => applyPatch(patch.type, current, patch.body, target)),
  )
  return { record, isNew: false }
}

/** The type and the parsed body of a patch. @throws {StatusError} 400, 415 */
export function readPatch(call: Call): { readonly type: PatchKind; readonly body: unknown } {
  const header = (call.contentType ?? '').split(';')[0]?.trim().toLowerCase() ?? ''
  const type = Object.hasOwn(types, header) ? types[header] : undefined
  if (type === undefined) throw unsupportedMediaType(header, Object.keys(types))
  return { type, body: parseBody(call.body) }
}

/** Patches any value by the rules of a kind. @throws {StatusError} as the patch says */
export function runPatch<T>(kind: Kind, name: string, patch: () => T): T {
  try {
    return patch()
  } catch (error) {
    if (!(error instanceof PatchError)) throw error
    const message = `${error.message}; ${error.hint}`
    // Of an invalid object kubectl shows the causes alone, and a patch that does not fit has none: without a subject it
    // shows the message.
    const parts = error.reason === 'Invalid' ? {} : { subject: subjectOf(kind, name) }
    throw new StatusError(error.status, error.reason, message, parts)
  }
}

function targetOf(context: ServerContext, kind: Kind, path: ResourcePath, call: Call): PatchTarget {
  const fieldManager = call.query.get('fieldManager') ?? ''
  const custom = kind.custom(path.version)
  return {
    kind: kind.kind,
    schema:
      custom === undefined
        ? builtInSchema(kind.group, path.version, kind.kind)
        : customSchema(custom.openApi),
    isCustom: kind.isCustom,
    nowMs: context.clock.nowMs(),
    ...(fieldManager === '' ? {} : { fieldManager }),
    ...(path.subresource === '' ? {} : { subresource: path.subresource }),
  }
}

interface Apply {
  readonly path: ResourcePath
  readonly call: Call
  readonly body: unknown
  readonly target: PatchTarget
}

async function applyObject(
  context: ServerContext,
  kind: Kind,
  { path, call, body, target }: Apply,
): Promise<Patched> {
  const config = namedConfig(body, path, kind)
  const key = recordKey(kind.namespaced ? path.namespace : '', path.name)
  const apply = (current: ApiObject | undefined) =>
    runPatch(kind, path.name, () => applyPatch('apply', current, config, target))
  if (context.store.get(resourceKey(kind), key) === undefined) {
    if (path.subresource !== '') throw notFound(subjectOf(kind, path.name))
    refuseTerminatingCrd(context, kind)
    try {
      return { record: await createObject(context, { kind, path }, call, apply(undefined)), isNew: true }
    } catch (error) {
      // Somebody else made it meanwhile: then it is an update.
      if (!(error instanceof StatusError) || error.code !== 'AlreadyExists') throw error
    }
  }
  return { record: await updateObject(context, { kind, path }, call, apply), isNew: false }
}

function namedConfig(body: unknown, path: ResourcePath, kind: Kind): JsonObject {
  if (!isObject(body)) throw badRequest('an apply patch must be an object')
  const apiVersion = apiVersionOf(kind.group, path.version)
  if (body['apiVersion'] !== apiVersion || body['kind'] !== kind.kind) {
    throw badRequest(
      `an apply patch must hold apiVersion and kind of the object: ${apiVersion}, ${kind.kind} (found ${JSON.stringify(body['apiVersion'])}, ${JSON.stringify(body['kind'])})`,
    )
  }
  const metadata = isObject(body['metadata']) ? body['metadata'] : {}
  return { ...body, metadata: { ...metadata, name: metadata['name'] ?? path.name } }
}
