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
  /** What the word after the name is, for the completion of a shell. */
  readonly argument?: readonly string[] | Completes
  /** Not shown in a list of commands. */
  readonly isHidden?: true
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
  /** One letter that stands for it, such as `o`. */
  readonly short?: string
  /** The values that it takes, when they are few; or what they are names of. */
  readonly values?: readonly string[] | Completes
}

/** What a word on the command line is the name of: the shell completes it from the cluster. */
export type Completes = 'pools' | 'pods' | 'namespaces' | 'nodes' | 'files'
