import { showValue } from '../../../../base/index.ts'
import { isObject, type JsonObject } from '../record.ts'
import type { FieldSchema } from './field-schema.ts'
import { jsonPatch } from './json-patch.ts'
import { mergeObject } from './merge-patch.ts'
import { PatchError } from './patch-error.ts'
import { serverSideApply } from './server-side-apply.ts'
import { strategicPatch } from './strategic-patch.ts'

export type PatchKind = 'merge' | 'json' | 'strategic' | 'apply'

/** What is patched, as far as a patch has to know it. */
export interface PatchTarget {
  /** For messages: the kind. */
  readonly kind: string
  /** The OpenAPI schema of the kind; undefined: nothing is known, every list is replaced whole. */
  readonly schema: FieldSchema
  /** Custom resources have no merge keys of the strategic sort: such a patch is answered 415. */
  readonly isCustom: boolean
  /** Of the request; required for apply. */
  readonly fieldManager?: string
  readonly subresource?: string
  /** Time for the record of apply, milliseconds since the epoch. */
  readonly nowMs: number
}

/**
 * Applies a patch of any type and gives back the new object; `base` is not changed.
 * @param base the object as stored; undefined only for apply, which creates
 * @param patch the parsed body of the request
 * @throws {PatchError} with the HTTP status and reason of the answer
 */
export function applyPatch(
  type: PatchKind,
  base: JsonObject | undefined,
  patch: unknown,
  target: PatchTarget,
): JsonObject {
  if (type !== 'json' && !isObject(patch)) {
    throw new PatchError(
      400,
      `Cannot read patch ${showValue(patch)}: it is not an object`,
      'Send a JSON object',
    )
  }
  if (type === 'apply') {
    const { schema, nowMs, fieldManager = '', subresource } = target
    const applier = { schema, nowMs, fieldManager, ...(subresource === undefined ? {} : { subresource }) }
    return serverSideApply(base, isObject(patch) ? patch : {}, applier)
  }
  const patched = patchExisting(type, base ?? {}, patch, target)
  if (!isObject(patched)) {
    throw new PatchError(
      422,
      `Cannot patch ${target.kind}: the result is not an object`,
      'Patch fields, not the whole document',
    )
  }
  return patched
}

function patchExisting(
  type: 'merge' | 'json' | 'strategic',
  base: JsonObject,
  patch: unknown,
  target: PatchTarget,
): unknown {
  if (type === 'json') return jsonPatch(base, patch)
  if (!isObject(patch)) return base
  if (type === 'merge') return mergeObject(base, patch)
  if (target.isCustom) {
    const hint = 'Use application/merge-patch+json: kubectl patch --type=merge'
    throw new PatchError(
      415,
      `Cannot patch ${target.kind}: custom resources do not support strategic merge`,
      hint,
    )
  }
  return strategicPatch(base, patch, target.schema)
}
