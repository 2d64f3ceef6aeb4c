/** What the pool's status may be written with. */
export type TextVerdict =
  /** The ledger has all that the text says. */
  | { readonly kind: 'view' }
  /** Something in it cannot be read: it must stay. */
  | { readonly kind: 'unreadable'; readonly message: string }
  /** Agents of the reference still read and write it. */
  | { readonly kind: 'halted' }
