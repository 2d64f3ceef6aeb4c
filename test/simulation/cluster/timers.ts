import type { Scheduler } from '../scheduler.ts'

/** Watches of caches run under a name of their own, so that they can lag alone; their process is the part before it. */
export const watchMark = '~watch'

const real = { setTimeout, clearTimeout, setInterval, clearInterval }

interface Handle {
  cancel: () => void
  ref(): Handle
  unref(): Handle
}

/** Puts the timers of all code that runs from now on under the scheduler: each belongs to the process whose event set it. */
export function takeOverTimers(scheduler: Scheduler): () => void {
  const owner = (): string => scheduler.current.split(watchMark)[0] ?? ''
  const handle = (): Handle => {
    const made: Handle = { cancel: () => undefined, ref: () => made, unref: () => made }
    return made
  }
  const fakes = {
    setTimeout: (run: (...args: unknown[]) => void, ms = 0, ...args: unknown[]): Handle => {
      const made = handle()
      // A timer that never fires is none, as one that is overdue in weeks.
      if (Number.isFinite(ms)) made.cancel = scheduler.after(owner(), ms, () => run(...args))
      return made
    },
    setInterval: (run: (...args: unknown[]) => void, ms = 0, ...args: unknown[]): Handle => {
      const made = handle()
      const actor = owner()
      const again = (): void => {
        made.cancel = scheduler.after(actor, ms, () => {
          again()
          run(...args)
        })
      }
      again()
      return made
    },
    clearTimeout: (made: Handle | undefined): void => made?.cancel?.(),
    clearInterval: (made: Handle | undefined): void => made?.cancel?.(),
  }
  Object.assign(globalThis, fakes)
  return () => void Object.assign(globalThis, real)
}
