import { Backoff, type Clock, type Logger, type Random, toError } from '../base/index.ts'

/** Work that is repeated for as long as the agent lives. */
export interface BackgroundLoop {
  /** Does the work now, if the loop is waiting. */
  wake(): void
  close(): Promise<void>
}

interface Options {
  readonly name: string
  readonly everyMs: number
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

const maxPauseMs = 60_000

/**
 * Repeats `work`; after a failure with growing pauses.
 * @param work gives `more` to be repeated soon, with growing pauses, though nothing failed
 */
export function startLoop(
  options: Options,
  work: (signal: AbortSignal) => Promise<'done' | 'more'>,
): BackgroundLoop {
  const { name, everyMs, clock, random, logger } = options
  const stop = new AbortController()
  const backoff = new Backoff({ firstMs: 500, capMs: Math.min(everyMs, maxPauseMs) }, random)
  let waker = new AbortController()
  let failures = 0

  const run = async (): Promise<void> => {
    while (!stop.signal.aborted) {
      waker = new AbortController()
      let pauseMs = everyMs
      try {
        if ((await work(stop.signal)) === 'more') pauseMs = backoff.nextMs()
        else backoff.reset()
        failures = 0
      } catch (error) {
        if (stop.signal.aborted) return
        pauseMs = backoff.nextMs()
        failures++
        // Once is noise, and a line for each attempt of an hour too.
        if (failures === 2 || failures % 60 === 0)
          logger.warn('background work fails', { loop: name, count: failures, err: toError(error).message })
      }
      await clock.sleep(pauseMs, AbortSignal.any([stop.signal, waker.signal])).catch(() => undefined)
    }
  }
  const running = run()
  return {
    wake: () => {
      waker.abort()
    },
    close: async () => {
      stop.abort(new DOMException('the agent stops', 'AbortError'))
      await running
    },
  }
}
