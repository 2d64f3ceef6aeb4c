import { writeField } from './wire.ts'

/** Media type of the document: the only one that older kubectl asks `/openapi/v2` for. */
export const openApiV2MediaType = 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf'

/**
 * An OpenAPI v2 document without definitions, in protobuf: kubectl before 1.27 and current ones for kinds that are not
 * served read it before they validate, and skip the validation of what it does not define.
 */
export function openApiV2(): Uint8Array {
  // Document: 1 swagger, 2 info {1 title, 2 version, 3 description}, 8 paths
  const info = Buffer.concat([
    writeField(1, 'Spiderpool lab'),
    writeField(2, 'v1'),
    writeField(3, 'The schemas are at /openapi/v3.'),
  ])
  return Buffer.concat([writeField(1, '2.0'), writeField(2, info), writeField(8, '')])
}
