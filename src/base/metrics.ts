/** Counts events by one label, whose values are a closed set. */
export interface Counter<Label extends string> {
  add(label: Label, count?: number): void
  /** So far, by label. */
  values(): Readonly<Record<Label, number>>
}

/** A named family of counters. */
export interface CounterOptions<Label extends string> {
  /** Ends in `_total`. */
  readonly name: string
  readonly help: string
  readonly label: string
  /** Every value that the label can have. */
  readonly labels: readonly Label[]
}

/** A number that goes up and down, read when somebody asks. */
export interface GaugeOptions {
  /** Ends in a unit. */
  readonly name: string
  readonly help: string
  readonly read: () => number
}

/** The numbers of one process, written as Prometheus reads them (text exposition format 0.0.4). */
export class Metrics {
  readonly #families = new Map<string, () => readonly string[]>()

  /** A counter that starts at 0 for each label. */
  counter<Label extends string>(options: CounterOptions<Label>): Counter<Label> {
    const { name, help, label, labels } = options
    const counts = new Map<Label, number>(labels.map((value) => [value, 0]))
    this.#families.set(name, () => [
      ...header(name, help, 'counter'),
      ...[...counts].map(([value, count]) => `${name}{${label}="${value}"} ${count}`),
    ])
    return {
      add: (value, count = 1) => counts.set(value, (counts.get(value) ?? 0) + count),
      values: () => Object.fromEntries(counts) as Record<Label, number>, // each label was set above
    }
  }

  gauge({ name, help, read }: GaugeOptions): void {
    this.#families.set(name, () => [...header(name, help, 'gauge'), `${name} ${read()}`])
  }

  /** All families, in the order of their making. */
  text(): string {
    return [...this.#families.values()].flatMap((lines) => lines().map((line) => `${line}\n`)).join('')
  }
}

function header(name: string, help: string, type: string): readonly string[] {
  const text = help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')
  return [`# HELP ${name} ${text}`, `# TYPE ${name} ${type}`]
}
