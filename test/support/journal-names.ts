import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** Attachments that the journal of an agent holds by what is on disk: container and interface. @param folder its --journal-dir */
export function journalNames(folder: string): readonly string[] {
  const path = join(folder, 'log')
  const names = new Set<string>()
  for (const line of existsSync(path) ? readFileSync(path, 'utf8').split('\n').slice(0, -1) : []) {
    const name = line.slice(1).split(' ')[0] ?? ''
    if (line.startsWith('+')) names.add(name)
    else names.delete(name)
  }
  return [...names]
}
