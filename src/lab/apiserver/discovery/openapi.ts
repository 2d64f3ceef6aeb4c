import { stringifyJson } from '../../../base/index.ts'
import type { ServerContext } from '../context.ts'
import type { Registry } from '../kinds/registry.ts'
import type { Answer } from '../rest/call.ts'
import { type OpenApiV3, openApiV3 } from '../schema/openapi/documents.ts'
import { pathNotFound } from '../status.ts'

const built = new WeakMap<Registry, { readonly revision: number; readonly documents: OpenApiV3 }>()

/** `/openapi/v3` and its documents. @throws {StatusError} 404, also for the older `/openapi/v2` */
export function openApiDocument(context: ServerContext, [version, ...path]: readonly string[]): Answer {
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
