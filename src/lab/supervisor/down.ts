import { existsSync, readdirSync, realpathSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { systemClock } from '../../base/index.ts'
import { listMounts } from '../../netlink/index.ts'
import { labPathsOf } from '../lab-paths.ts'
import { endProcesses, findProcesses, type ProcessId, readProcFile } from '../process-table.ts'
import { restoreNeighbourLimits } from '../topology/neighbour-limits.ts'
import { removeTopology } from '../topology/remove.ts'
import { LabError } from './lab-error.ts'
import { isSupervised, readState } from './lab-state.ts'
import { drainCluster, leaveCluster } from './leave-cluster.ts'
import { labDirVariable, labProcessVariable } from './program.ts'

/** What `lab down` found and removed. */
export interface LabRemoved {
  /** False when there was no lab at all. */
  readonly wasThere: boolean
  readonly processCount: number
  readonly namespaceCount: number
}

const supervisorGraceMs = 15_000
const graceMs = 3000

/**
 * Ends all processes of a lab and removes its namespaces (their links, addresses and routes go with them) and files. It
 * looks for processes and mounts themselves, so it also removes what crashes left. Safe to repeat.
 * @throws {LabError} when the folder is no lab's, or a process will not end
 */
export async function labDown(
  dir: string,
  report: (line: string) => void,
  signal: AbortSignal,
): Promise<LabRemoved> {
  if (!existsSync(dir)) return { wasThere: false, processCount: 0, namespaceCount: 0 }
  const paths = labPathsOf(realpathSync(dir))
  const processes = findLabProcesses(paths.dir)
  const mountCount = listMounts(paths.dir).length
  const isLab = existsSync(paths.marker) || processes.length > 0 || mountCount > 0
  const names = readdirSync(paths.dir)
  if (!isLab && names.some((name) => name !== 'logs' && name !== 'lock')) {
    throw new LabError(
      `Cannot remove ${paths.dir}: it holds files that are no lab's`,
      'Name the folder of a lab: --dir FOLDER',
    )
  }
  const state = await readState(paths)
  const tell = (problems: readonly string[]): void => {
    for (const problem of problems) report(problem)
  }
  if (state !== undefined && isSupervised(state)) {
    if (state.isExternal) tell(await drainCluster(state, signal))
    report('ending the processes')
    await endProcesses([state.supervisor], supervisorGraceMs, systemClock, signal)
  }
  const stray = await endProcesses(findLabProcesses(paths.dir), graceMs, systemClock, signal)
  if (state?.isExternal === true) tell(await leaveCluster(state, signal))
  report('removing namespaces')
  const removed = await removeTopology(paths.dir, systemClock, signal)
  const left = [...stray, ...removed.left]
  if (left.length > 0) {
    const pids = left.map(({ pid }) => pid).join(', ')
    throw new LabError(
      `Cannot end processes ${pids} of the lab`,
      'They hang in the kernel: see dmesg, then repeat lab down',
    )
  }
  await restoreNeighbourLimits(paths.oldLimits)
  report('removing files')
  // The folder itself may be a mount point, or somebody's: what is in it is ours.
  for (const name of names) await rm(join(paths.dir, name), { recursive: true, force: true })
  await rm(paths.dir, { recursive: true, force: true })
  const processCount = processes.length + removed.processCount
  return { wasThere: isLab, processCount, namespaceCount: mountCount }
}

/** Processes that were started with the variables of this lab, whoever their parent is by now. */
export function findLabProcesses(dir: string): readonly ProcessId[] {
  return findProcesses((pid) => {
    const variables = readProcFile(pid, 'environ')?.split('\0')
    if (variables?.includes(`${labDirVariable}=${dir}`) !== true) return false
    return variables.some((variable) => variable.startsWith(`${labProcessVariable}=`))
  })
}
