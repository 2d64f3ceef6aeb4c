import { OperationError, type Retry } from '../base/index.ts'

/** The object that a failed plugin prints (CNI spec, "Error"). */
export interface CniErrorObject {
  readonly code: number
  readonly msg: string
  readonly details: string
}

/** Parts of a {@link CniError}. `slug` opens `details` and is stable: tests and operators may match on it. */
export interface CniErrorParts {
  readonly cniCode: number
  readonly slug: string
  readonly message: string
  readonly hint: string
}

/** A failure that already knows its CNI error code. */
export class CniError extends OperationError {
  override readonly code: string = 'CNI_ERROR'
  override readonly retry: Retry
  readonly cniCode: number
  readonly slug: string
  constructor(parts: CniErrorParts, options?: ErrorOptions) {
    super(parts.message, parts.hint, options)
    this.cniCode = parts.cniCode
    this.slug = parts.slug
    this.retry = parts.cniCode === 11 ? 'later' : 'after-change'
  }

  /** Text of `details`: the stable slug, then the remedy. */
  get details(): string {
    return this.hint === '' ? this.slug : `${this.slug}: ${this.hint}`
  }
}
