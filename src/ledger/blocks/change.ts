import type { BlockEntry, Quarantine } from '../../api/index.ts'

/** What a change wants of the entry that it finds. */
export type Decision =
  | { readonly kind: 'put'; readonly entry: BlockEntry }
  | { readonly kind: 'free' } // the address gets a release time; a contested one goes to the next holder
  | { readonly kind: 'quarantine'; readonly record: Quarantine } // free for nobody until it is over
  | { readonly kind: 'endQuarantine' }
  | { readonly kind: 'fence' } // the block must carry our term
  | { readonly kind: 'keep' } // nothing to write; what memory says is enough
  | { readonly kind: 'verify' } // it must be so after the request came, in a block that carries our term
  | { readonly kind: 'lost' } // no longer possible

/** A change to one address, decided again on what is found whenever the block turns out to be another version. */
export interface Change {
  readonly ip: string
  decide(current: BlockEntry | undefined): Decision
  /** When aborted before the first try, or after a try that certainly failed, the change is dropped. */
  readonly signal?: AbortSignal
}

export type Outcome =
  | { readonly kind: 'done'; readonly entry: BlockEntry | undefined }
  | { readonly kind: 'lost'; readonly entry: BlockEntry | undefined }
  | { readonly kind: 'dropped' }

/** A change that waits for its outcome. */
export interface Item {
  readonly change: Change
  readonly resolve: (outcome: Outcome) => void
  readonly reject: (error: unknown) => void
  /** A write that holds it had an unknown outcome. It stays in line until the block shows what became of it. */
  isUncertain?: boolean
}
