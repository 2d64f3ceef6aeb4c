/**
 * What the embedded API server does with the content of objects: definitions of custom resources (schemas, CEL, columns),
 * patches, selectors, admission webhooks, OpenAPI documents. Types to know: `CompiledCrd`, `FieldFailure`, `AdmissionOutcome`.
 * It stores nothing and knows no request but those to webhooks.
 */
export type { PrinterColumn } from './crd/columns.ts'
export { type CompiledCrd, compileCrd } from './crd/compile-crd.ts'
export type { CompiledVersion, ScalePaths } from './crd/compile-version.ts'
export { type FailureReason, type FieldFailure, renderFailures } from './failure.ts'
