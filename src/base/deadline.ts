/** A signal that has to be let go of, so that its timer and its listeners do not outlive the work. */
export interface Deadline extends Disposable {
  readonly signal: AbortSignal
}

/**
 * A signal that aborts when one of `signals` does, or after `ms` with a `TimeoutError`. Hold it with `using`.
 * `AbortSignal.any` with `AbortSignal.timeout` does the same, but keeps some 2 kB for each call until the time is over.
 */
export function deadlineAfter(ms: number, ...signals: readonly AbortSignal[]): Deadline {
  const controller = new AbortController()
  const timer = setTimeout(() => {
    controller.abort(new DOMException(`the time for it is over: ${ms} ms`, 'TimeoutError'))
  }, ms)
  const letGo: (() => void)[] = []
  for (const signal of signals) {
    const onAbort = () => controller.abort(signal.reason)
    if (signal.aborted) onAbort()
    else {
      signal.addEventListener('abort', onAbort, { once: true })
      letGo.push(() => signal.removeEventListener('abort', onAbort))
    }
  }
  return {
    signal: controller.signal,
    [Symbol.dispose]: () => {
      clearTimeout(timer)
      for (const release of letGo) release()
    },
  }
}
