/** A span of time that started when a request was sent. */
export interface HoldWindow {
  /** Milliseconds until its end; 0 or less when it is over. */
  remainingMs(): number
}

/**
 * A window of `ms` from now. The monotonic clock does not run while the machine sleeps and the wall clock can be set
 * back, so whichever has run further counts: a window can end early, never late.
 */
export function holdWindow(ms: number): HoldWindow {
  const monotonicMs = performance.now()
  const wallMs = Date.now()
  return {
    remainingMs: () => ms - Math.max(performance.now() - monotonicMs, Date.now() - wallMs),
  }
}

/**
 * A window of `ms` from now, for one who waits for the lease of another to run out. It may end late, never early: a wall
 * clock that is set forward, here, says nothing about the other's lease.
 */
export function waitWindow(ms: number): HoldWindow {
  const monotonicMs = performance.now()
  return { remainingMs: () => ms - (performance.now() - monotonicMs) }
}
