import { crdLimits } from './limits.ts'
import { list, map, object, type Schema, text } from './schema.ts'

const name = (description: string): Schema => text(description, { maxLength: crdLimits.dnsText })
const names = (description: string): Schema =>
  list(description, name('One of them.'), { maxItems: crdLimits.dnsItems })

/** `dns` of a CNI result. */
export function dnsSchema(description: string): Schema {
  return object(description, {
    nameservers: names('Addresses of name servers.'),
    domain: name('Local domain.'),
    search: names('Domains to search.'),
    options: names('Options of the resolver.'),
  })
}

/** Free-form keys and values. */
export function metadataSchema(description: string): Schema {
  const value = text('Value.', { maxLength: crdLimits.recordedText })
  return map(description, value, { maxProperties: crdLimits.metadataItems })
}
