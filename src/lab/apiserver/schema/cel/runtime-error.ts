import { OperationError } from '../../../../base/index.ts'

/** A CEL expression failed while it ran: the rule that holds it counts as broken. */
export class CelRuntimeError extends OperationError {
  override readonly code = 'CEL_RUNTIME'
  override readonly retry = 'never'
  constructor(message: string) {
    super(message, 'Guard the expression with has() or a check such as isIP()')
  }
}
