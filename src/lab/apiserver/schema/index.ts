/**
 * What the embedded API server does with the content of objects: definitions of custom resources (schemas, CEL, columns),
 * patches, selectors, admission webhooks, OpenAPI documents. Types to know: `CompiledCrd`, `FieldFailure`, `AdmissionOutcome`.
 * It stores nothing and knows no request but those to webhooks.
 */

export type {
  AdmissionOutcome,
  AdmissionRequest,
  AdmissionStatus,
  ServiceAddress,
  ServiceRef,
} from './admission/admission-types.ts'
export { admit } from './admission/admit.ts'
export type { PrinterColumn } from './crd/columns.ts'
export { type CompiledCrd, compileCrd } from './crd/compile-crd.ts'
export type { CompiledVersion, ScalePaths } from './crd/compile-version.ts'
export { type FailureReason, type FieldFailure, renderFailures } from './failure.ts'
export { evaluateJsonPath, type JsonPath, parseJsonPath } from './json-path.ts'
export {
  builtInSchema,
  customSchema,
  type DocumentedKind,
  type OpenApiV3,
  openApiV3,
} from './openapi/documents.ts'
export { applyPatch, type PatchKind, type PatchTarget } from './patch/apply-patch.ts'
export { PatchError } from './patch/patch-error.ts'
export { decodeProtobuf, protobufMediaType } from './protobuf/decode-protobuf.ts'
export { openApiV2, openApiV2MediaType } from './protobuf/openapi-v2.ts'
export {
  type FieldRequirement,
  type LabelMatcher,
  type LabelRequirement,
  labelMatcherOf,
  matchesFields,
  matchesLabels,
  parseFieldSelector,
  parseLabelSelector,
} from './selector.ts'
