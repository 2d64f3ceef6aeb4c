import { openApiV2Accept } from '../schema/openapi/openapi-v2.ts'
import { StatusError } from '../status.ts'

/** How an answer is to be written. */
export type Format =
  | { readonly kind: 'object' }
  | { readonly kind: 'table'; readonly apiVersion: string }
  | { readonly kind: 'metadata'; readonly apiVersion: string }

const plain: Format = { kind: 'object' }

/**
 * The first form of the Accept header that this server can give: JSON objects, Tables, metadata only.
 * @throws {StatusError} 406 when there is none
 */
export function negotiate(accept: string | undefined): Format {
  if (accept === undefined || accept === '') return plain
  for (const part of accept.split(',')) {
    const [type = '', ...parameters] = part.split(';').map((item) => item.trim())
    if (type === openApiV2Accept) return plain // asked of /openapi/v2 alone
    if (!['application/json', 'application/*', '*/*'].includes(type)) continue
    const values = new Map(
      parameters.map((item) => {
        const at = item.indexOf('=')
        return [item.slice(0, at), item.slice(at + 1)] as const
      }),
    )
    const as = values.get('as')
    const version = values.get('v') ?? 'v1'
    if (as === undefined) return plain
    if (values.get('g') !== 'meta.k8s.io' || !['v1', 'v1beta1'].includes(version)) continue
    const apiVersion = `meta.k8s.io/${version}`
    if (as === 'Table') return { kind: 'table', apiVersion }
    if (as === 'PartialObjectMetadata' || as === 'PartialObjectMetadataList')
      return { kind: 'metadata', apiVersion }
  }
  const message = `only the following media types are accepted: application/json (asked for ${JSON.stringify(accept)})`
  throw new StatusError(406, 'NotAcceptable', message)
}
