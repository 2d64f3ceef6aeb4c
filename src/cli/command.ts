/** Where a command writes. */
export interface Terminal {
  /** Standard output: what was asked for. */
  print(line: string): void
  /** Standard error: progress and complaints. */
  note(line: string): void
}

/** One thing that the command line can do. */
export interface Command {
  /** Words that call it, such as `lab up`. */
  readonly name: string
  /** What follows the name, such as `POD -- COMMAND [ARGUMENT...]`. */
  readonly usage: string
  /** One sentence, without a period. */
  readonly summary: string
  readonly flags: readonly FlagHelp[]
  /**
   * @param args what follows the name
   * @returns the exit code
   */
  run(args: readonly string[], terminal: Terminal, signal: AbortSignal): Promise<number>
}

/** One flag as help shows it. */
export interface FlagHelp {
  readonly name: string
  /** Placeholder of its value; absent for a switch. */
  readonly value?: string
  readonly text: string
}
