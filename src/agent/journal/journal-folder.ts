/** Where a journal lies, as a port: what a crash may take is a matter of the disk. It holds texts by name. */
export interface JournalFolder {
  /** Makes the folder if there is none. @returns the names of its texts */
  open(): Promise<readonly string[]>
  read(name: string): string
  /** Returns when the whole text survives a crash; before that the old one does, or none. */
  write(name: string, text: string): Promise<void>
  /** Keeps what is there for people to look at, beside what follows. */
  setAside(name: string): void
  /** Success also when there is none. Some time passes until a crash cannot bring it back any more. */
  remove(name: string): void
  /** Returns when a crash cannot bring anything back. */
  close(): Promise<void>
}
