/** What kubectl asks `/openapi/v2` for. */
export const openApiV2Accept = 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf'
/** What the answer is called: the @ above is not allowed in a media type, and Go's HTTP client refuses it there. */
export const openApiV2MediaType = 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf'

/**
 * An OpenAPI v2 document without definitions, in protobuf: kubectl before 1.27, and current ones for kinds that are not
 * served, read it before they validate, and pass over what it does not define.
 */
export function openApiV2(): Uint8Array {
  // Document: 1 swagger, 2 info {1 title, 2 version, 3 description}, 8 paths
  const texts = [field(1, 'Spiderpool lab'), field(2, 'v1'), field(3, 'The schemas are at /openapi/v3.')]
  return Buffer.concat([field(1, '2.0'), field(2, Buffer.concat(texts)), field(8, '')])
}

/** One field of text or of a message of less than 128 bytes. */
function field(number: number, value: string | Uint8Array): Uint8Array {
  const bytes = Buffer.from(value)
  return Buffer.concat([Uint8Array.of((number << 3) | 2, bytes.byteLength), bytes])
}
