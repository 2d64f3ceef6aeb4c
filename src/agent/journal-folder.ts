import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { syncFolder, writeDurably } from '../cni/index.ts'

/** The folder of a journal as a port: what a crash may take is a matter of the disk. */
export interface JournalFolder {
  /** Makes the folder if there is none. @returns the names of its files */
  open(): Promise<readonly string[]>
  read(name: string): Promise<string>
  /** Returns when the whole content survives a crash; before that the old one does. */
  write(name: string, content: string): Promise<void>
  rename(name: string, to: string): Promise<void>
  /** Success also when there is no such file. Until {@link sync}, a crash of the machine may bring it back. */
  remove(name: string): Promise<void>
  sync(): Promise<void>
}

/** A folder of the node's file system. @param path absolute */
export function diskFolder(path: string): JournalFolder {
  const at = (name: string): string => join(path, name)
  return {
    open: async () => {
      await mkdir(path, { recursive: true, mode: 0o700 })
      return readdir(path)
    },
    read: (name) => readFile(at(name), 'utf8'),
    write: (name, content) => writeDurably(at(name), content),
    rename: (name, to) => rename(at(name), at(to)),
    remove: (name) => rm(at(name), { force: true }),
    sync: () => syncFolder(path),
  }
}
