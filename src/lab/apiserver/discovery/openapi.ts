import { stringifyJson } from '../../../base/index.ts'
import type { ServerContext } from '../context.ts'
import type { Registry } from '../kinds/registry.ts'
import type { Answer } from '../rest/call.ts'
import { type OpenApiV3, openApiV3 } from '../schema/openapi/documents.ts'
import { openApiV2, openApiV2MediaType } from '../schema/openapi/openapi-v2.ts'
import { pathNotFound } from '../status.ts'

const built = new WeakMap<Registry, { readonly revision: number; readonly documents: OpenApiV3 }>()

/** `/openapi/v3` and its documents, and the empty one of `/openapi/v2`. @throws {StatusError} 404 */
export function openApiDocument(context: ServerContext, [version, ...path]: readonly string[]): Answer {
  if (version === 'v2' && path.length === 0) {
    const text = Buffer.from(openApiV2()).toString('latin1') // all bytes are ASCII
    return { kind: 'json', status: 200, text, contentType: openApiV2MediaType }
  }
  if (version !== 'v3') throw pathNotFound()
  const { index, document } = documentsOf(context.registry)
  const found = path.length === 0 ? index : document(path.join('/'))
  if (found === undefined) throw pathNotFound()
  return { kind: 'json', status: 200, text: stringifyJson(found) }
}

function documentsOf(registry: Registry): OpenApiV3 {
  const known = built.get(registry)
  if (known?.revision === registry.revision) return known.documents
  const kinds = [...registry.all()].flatMap((kind) =>
    kind.versions.map((version) => ({
      group: kind.group,
      version,
      kind: kind.kind,
      plural: kind.plural,
      namespaced: kind.namespaced,
      schema: kind.custom(version)?.openApi,
    })),
  )
  const documents = openApiV3(kinds)
  built.set(registry, { revision: registry.revision, documents })
  return documents
}
