import { rm } from 'node:fs/promises'
import type { Clock } from '../../base/index.ts'
import { listMounts, namespaceIdentity, SystemCallError, unmount } from '../../netlink/index.ts'
import { endProcesses, findProcesses, type ProcessId, readProcFile, readProcLink } from '../process-table.ts'

const graceMs = 3000

/** What was found and removed below a folder. */
export interface Removed {
  readonly processCount: number
  readonly mountCount: number
  /** Processes that did not end. */
  readonly left: readonly ProcessId[]
}

/**
 * Ends every process in a namespace that is mounted below `folder`, or that was started to hold one there, and takes the
 * mounts away; links, addresses and routes go with their namespaces. It looks at the kernel, not at what was written
 * down, so it also removes what a crash left.
 */
export async function removeTopology(folder: string, clock: Clock, signal: AbortSignal): Promise<Removed> {
  const mounts = listMounts(folder)
  const identities = new Set(mounts.map(identityOf).filter((identity) => identity !== undefined))
  // Should the machine's own namespace ever be mounted there, its processes are nobody's to end.
  identities.delete(namespaceIdentity())
  const inhabitants = findProcesses((pid) => {
    const netns = readProcLink(pid, 'ns/net')
    return (netns !== undefined && identities.has(netns)) || isPauseBelow(pid, folder)
  })
  const left = await endProcesses(inhabitants, graceMs, clock, signal)
  for (const path of mounts) {
    unmount(path)
    await rm(path, { force: true })
  }
  return { processCount: inhabitants.length - left.length, mountCount: mounts.length, left }
}

function identityOf(path: string): string | undefined {
  try {
    return namespaceIdentity(path)
  } catch (error) {
    // The folder itself may be a mount point, and a file may be gone under its mount.
    if (error instanceof SystemCallError) return undefined
    throw error
  }
}

/** A pause process whose mount is away already, or not made yet. */
function isPauseBelow(pid: number, folder: string): boolean {
  const [program, ...args] = readProcFile(pid, 'cmdline')?.split('\0') ?? []
  if (program === undefined || !/(^|\/)lab-pause$/.test(program)) return false
  return args.some((arg) => arg.startsWith(`${folder}/`))
}
