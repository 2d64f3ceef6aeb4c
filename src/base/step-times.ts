/** Times the steps of one operation, for its log line: where a slow one spent its time. */
export class StepTimes {
  readonly #startedMs = performance.now()
  readonly #ms = new Map<string, number>()
  #endedMs = this.#startedMs

  /** Ends the step that began where the one before ended. Steps of the same name add up. */
  end(step: string): void {
    const nowMs = performance.now()
    this.#ms.set(step, (this.#ms.get(step) ?? 0) + nowMs - this.#endedMs)
    this.#endedMs = nowMs
  }

  /** Fields of a log line, in milliseconds: of each step to a tenth, and of all since it was made. */
  fields(): { readonly durationMs: number; readonly stepsMs: Readonly<Record<string, number>> } {
    const stepsMs = Object.fromEntries([...this.#ms].map(([step, ms]) => [step, Math.round(ms * 10) / 10]))
    return { durationMs: Math.round(performance.now() - this.#startedMs), stepsMs }
  }
}
