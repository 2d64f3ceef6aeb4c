import { existsSync, realpathSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { formatIp } from '../../address/index.ts'
import { listMounts } from '../../netlink/index.ts'
import { labPathsOf, nodePathsOf } from '../lab-paths.ts'
import { type SandboxRecord, SandboxStore } from '../node/sandbox-store.ts'
import { isPauseAlive } from '../node/sandboxes.ts'
import { isAlive } from '../process-table.ts'
import { nodeAddressTexts, planTopology } from '../topology/plan.ts'
import { findLabProcesses } from './down.ts'
import { isSupervised, type LabPhase, readState } from './lab-state.ts'

/** One process of a lab. */
export interface ProcessStatus {
  readonly name: string
  readonly pid: number
  readonly isAlive: boolean
  readonly restartCount: number
  readonly lastEnd: string
}

/** One pod that has a namespace. */
export interface PodStatus {
  readonly node: string
  readonly namespace: string
  readonly name: string
  readonly ips: readonly string[]
  readonly netnsPath: string
  readonly containerId: string
  readonly isRunning: boolean
}

/** What is there of a lab. */
export interface LabStatus {
  /** `absent`: nothing; `left`: it was killed and lab down has work to do. */
  readonly kind: 'absent' | 'left' | LabPhase['kind']
  /** The step of `starting`, the reason of `failed`. */
  readonly detail: string
  readonly dir: string
  readonly kubeconfig: string
  readonly nodes: readonly string[]
  /** Addresses by name of the place: `node:NAME`, and `switch` for the gateways. */
  readonly placeIps: Readonly<Record<string, readonly string[]>>
  readonly processes: readonly ProcessStatus[]
  readonly pods: readonly PodStatus[]
}

/** Looks at a lab without changing anything. */
export async function labStatus(dir: string): Promise<LabStatus> {
  const nothing = { kubeconfig: '', nodes: [], placeIps: {}, processes: [], pods: [] }
  const absent = { kind: 'absent' as const, detail: '', dir, ...nothing }
  if (!existsSync(dir)) return absent
  const paths = labPathsOf(realpathSync(dir))
  const state = await readState(paths)
  const pods = await findPods(dir)
  if (state === undefined || !isSupervised(state)) {
    const isLeft = findLabProcesses(paths.dir).length > 0 || listMounts(paths.dir).length > 0
    if (state?.phase.kind === 'failed') return { ...absent, kind: 'failed', detail: state.phase.message }
    return isLeft ? { ...absent, kind: 'left', pods } : absent
  }
  const supervisor = { ...state.supervisor, name: 'lab-supervisor', restartCount: 0, lastEnd: '' }
  const processes = [supervisor, ...state.processes].map((entry) => ({
    name: entry.name,
    pid: entry.pid,
    isAlive: isAlive(entry),
    restartCount: entry.restartCount,
    lastEnd: entry.lastEnd,
  }))
  const { kubeconfig, nodes, phase } = state
  const detail = phase.kind === 'starting' ? phase.step : phase.kind === 'failed' ? phase.message : ''
  const placeIps = placeIpsOf(nodes)
  return { kind: phase.kind, detail, dir: paths.dir, kubeconfig, nodes, placeIps, processes, pods }
}

function placeIpsOf(nodes: readonly string[]): Readonly<Record<string, readonly string[]>> {
  const plan = planTopology(nodes)
  const ofNodes = plan.nodes.map((node) => [`node:${node.name}`, nodeAddressTexts(node)] as const)
  return { ...Object.fromEntries(ofNodes), switch: plan.gateways.map(({ ip }) => formatIp(ip)) }
}

/** The pods of a lab that have a namespace, by what the nodes wrote down. */
export async function findPods(dir: string): Promise<readonly PodStatus[]> {
  const paths = labPathsOf(realpathSync(dir))
  if (!existsSync(paths.nodesDir)) return []
  const nodes = await readdir(paths.nodesDir)
  const found = await Promise.all(
    nodes.sort().map(async (node) => {
      const records = await new SandboxStore(nodePathsOf(paths, node).sandboxesDir).list()
      return records.filter(({ podUid }) => podUid !== '').map((record) => podOf(node, record))
    }),
  )
  return found.flat()
}

function podOf(node: string, record: SandboxRecord): PodStatus {
  const { namespace, name, ips = [], netnsPath, containerId } = record
  return { node, namespace, name, ips, netnsPath, containerId, isRunning: isPauseAlive(record) }
}
