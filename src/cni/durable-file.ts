import { open, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

let writes = 0

/**
 * Writes a file so that after a crash either the old or the new content is there, complete: temp file, fsync, rename,
 * fsync of the folder.
 */
export async function writeDurably(path: string, content: string | Uint8Array, mode = 0o600): Promise<void> {
  writes++
  const temp = join(dirname(path), `.${basename(path)}.${process.pid}-${writes}.tmp`)
  try {
    const file = await open(temp, 'wx', mode)
    try {
      await file.writeFile(content)
      await file.chmod(mode) // the umask must not decide
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temp, path)
  } catch (error) {
    await rm(temp, { force: true })
    throw error
  }
  await syncFolder(dirname(path))
}

/** Makes renames and deletions in a folder durable. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}
