// What is shipped, as a list: one entry for each file, folder and link, by its path in the image or archive.
import { chmodSync, copyFileSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** One thing in an image or an archive; folders on its way need no entry. */
export type Entry =
  | { readonly kind: 'copy'; readonly path: string; readonly mode: number; readonly from: string }
  | { readonly kind: 'text'; readonly path: string; readonly mode: number; readonly text: string }
  | { readonly kind: 'folder'; readonly path: string; readonly mode: number }
  | { readonly kind: 'link'; readonly path: string; readonly to: string }

/** Writes entries below a folder that is empty or not there. */
export function writeEntries(folder: string, entries: readonly Entry[]): void {
  mkdirSync(folder, { recursive: true, mode: 0o755 })
  for (const entry of entries) {
    const target = join(folder, entry.path)
    mkdirSync(dirname(target), { recursive: true, mode: 0o755 })
    if (entry.kind === 'link') {
      symlinkSync(entry.to, target)
      continue
    }
    if (entry.kind === 'folder') mkdirSync(target, { recursive: true })
    else if (entry.kind === 'copy') copyFileSync(entry.from, target)
    else writeFileSync(target, entry.text)
    chmodSync(target, entry.mode)
  }
}
