import { type Attributes, type EntryGrant, mergeAttributes, type SpiderIpClaim } from '../../api/index.ts'

/** A grant with what the claim says in the place of what pool and pod say: of `dns` each member, of `metadata` each key. */
export function withClaimAttributes(grant: EntryGrant, claim: SpiderIpClaim | undefined): EntryGrant {
  if (claim === undefined) return grant
  const { name, namespace = '' } = claim.metadata
  const { mac, dns, metadata } = claim.spec
  const { dns: oldDns, metadata: oldMetadata, ...rest } = grant
  const before: Attributes = {
    ...(oldDns === undefined ? {} : { dns: oldDns }),
    ...(oldMetadata === undefined ? {} : { metadata: oldMetadata }),
  }
  const own: Attributes = {
    ...(dns === undefined ? {} : { dns }),
    ...(metadata === undefined ? {} : { metadata }),
  }
  const merged = mergeAttributes(`${namespace}/${name}`, before, own)
  return { ...rest, ...merged, ...(mac === undefined ? {} : { mac: mac.toLowerCase() }) }
}
