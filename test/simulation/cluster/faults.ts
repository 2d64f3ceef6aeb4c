/** Probabilities of what goes wrong with one call; all 0 when the world is quiet. */
export interface Faults {
  /** It does not arrive. */
  lost: number
  /** It takes effect, and the answer is lost. */
  unanswered: number
  /** The caller hears of a failure, and it takes effect all the same, later. */
  late: number
  /** 429, 500, 503: nothing took effect. */
  refused: number
  /** An agent's call reaches a controller twice. */
  doubled: number
  /** A watch ends, or its version is gone. */
  watchEnds: number
  /** A watch tells old changes again, as a cache of a restarted API server does. */
  rewinds: number
  /** The API server is away. */
  isDown: boolean
}

export const noFaults: Faults = {
  lost: 0,
  unanswered: 0,
  late: 0,
  refused: 0,
  doubled: 0,
  watchEnds: 0,
  rewinds: 0,
  isDown: false,
}
