/** What a replica serves with, and what those who call it shall trust. PEM. */
export interface Certificates {
  readonly cert: string
  readonly key: string
  readonly caBundle: string
}

/** Where certificates come from, and who keeps them fresh. */
export interface CertificateSource {
  /** What is to be served now. */
  readonly current: Certificates
  /** `listener` runs after each change of `current`. */
  onChange(listener: (now: Certificates) => void): void
  /** Takes in what changed, until aborted. */
  follow(signal: AbortSignal): Promise<void>
  /** The leader's work: one step of upkeep. @returns milliseconds until the next look */
  tend(signal: AbortSignal): Promise<number>
  /** The leader says that everybody can read this bundle by now. */
  published(caBundle: string, signal: AbortSignal): Promise<void>
}

/** `current`, and who wants to know of its changes. */
export class CurrentCertificates {
  readonly #listeners: ((now: Certificates) => void)[] = []
  #value: Certificates

  constructor(value: Certificates) {
    this.#value = value
  }

  get value(): Certificates {
    return this.#value
  }

  onChange(listener: (now: Certificates) => void): void {
    this.#listeners.push(listener)
  }

  /** @returns false when it is what we have */
  set(next: Certificates): boolean {
    const { cert, key, caBundle } = this.#value
    if (next.cert === cert && next.key === key && next.caBundle === caBundle) return false
    this.#value = next
    for (const listener of this.#listeners) listener(next)
    return true
  }
}
