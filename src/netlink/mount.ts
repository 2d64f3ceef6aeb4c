import { readFileSync } from 'node:fs'
import { callSystem, libcCalls } from './libc.ts'
import { SystemCallError } from './system-call-error.ts'

const MNT_DETACH = 2
const UMOUNT_NOFOLLOW = 8

/** Takes the mount off a path, at once for new users. @returns false when nothing was mounted there */
export function unmount(path: string): boolean {
  try {
    callSystem(`unmount "${path}"`, () => libcCalls.umount(path, MNT_DETACH | UMOUNT_NOFOLLOW))
    return true
  } catch (error) {
    const isAway = error instanceof SystemCallError && ['EINVAL', 'ENOENT'].includes(error.errnoName)
    if (isAway) return false
    throw error
  }
}

/** Mount points at and below a folder, the latest first, one entry for each layer. */
export function listMounts(folder: string): readonly string[] {
  return parseMountPoints(readFileSync('/proc/self/mountinfo', 'utf8'))
    .filter((path) => path === folder || path.startsWith(`${folder}/`))
    .reverse()
}

/** The mount points of a mountinfo file (proc_pid_mountinfo(5)): field 5, with blanks written as octal escapes. */
export function parseMountPoints(mountinfo: string): readonly string[] {
  return mountinfo
    .split('\n')
    .map((line) => line.split(' ')[4])
    .filter((path) => path !== undefined)
    .map((path) =>
      path.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8))),
    )
}
