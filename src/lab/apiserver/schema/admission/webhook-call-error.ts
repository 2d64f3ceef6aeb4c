import { OperationError } from '../../../../base/index.ts'

/** A webhook gave no usable answer. */
export class WebhookCallError extends OperationError {
  override readonly code = 'WEBHOOK_CALL'
  override readonly retry = 'later'
  /** '' while the transport does not know yet for whom it works. */
  readonly webhook: string
  constructor(webhook: string, problem: string, options?: ErrorOptions) {
    const message = webhook === '' ? problem : `failed calling webhook ${JSON.stringify(webhook)}: ${problem}`
    super(message, 'Look at the webhook server, its certificate and clientConfig.caBundle', options)
    this.webhook = webhook
  }
}
