import { readFileSync } from 'node:fs'
import { readFile, rename, writeFile } from 'node:fs/promises'
import { parseJson } from '../../base/index.ts'
import type { LabPaths } from '../lab-paths.ts'
import { isAlive, type ProcessId } from '../process-table.ts'

/** A process that the supervisor keeps running. */
export interface LabProcess extends ProcessId {
  readonly name: string
  readonly startedAt: string
  readonly restartCount: number
  /** Why it ended the last time; '' when it never did. */
  readonly lastEnd: string
}

/** How far the lab is: `starting` names its step, `failed` its reason. */
export type LabPhase =
  | { readonly kind: 'starting'; readonly step: string }
  | { readonly kind: 'running' }
  | { readonly kind: 'stopping' }
  | { readonly kind: 'failed'; readonly message: string; readonly hint: string }

/** `state.json`: written by the supervisor alone. */
export interface LabState {
  readonly version: 1
  /** After another boot no process of this lab can be alive. */
  readonly bootId: string
  readonly startedAt: string
  readonly phase: LabPhase
  readonly supervisor: ProcessId
  readonly processes: readonly LabProcess[]
  readonly nodes: readonly string[]
  /** Kubeconfig of the API server that it runs against. */
  readonly kubeconfig: string
  /** The API server is not the lab's own. */
  readonly isExternal: boolean
  readonly apiPort: number
  readonly controllerPorts: readonly number[]
}

export function readBootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
}

export async function writeState(paths: LabPaths, state: LabState): Promise<void> {
  await writeFile(`${paths.state}.new`, `${JSON.stringify(state, undefined, 2)}\n`, { mode: 0o600 })
  await rename(`${paths.state}.new`, paths.state)
}

/** @returns undefined when there is none, or one that cannot be read */
export async function readState(paths: LabPaths): Promise<LabState | undefined> {
  let text: string
  try {
    text = await readFile(paths.state, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
  try {
    const value = parseJson(text)
    return isState(value) ? value : undefined
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

function isState(value: unknown): value is LabState {
  if (typeof value !== 'object' || value === null) return false
  const state = value as Partial<Record<keyof LabState, unknown>> // checked key by key below
  const isShaped = [state.processes, state.nodes, state.controllerPorts].every(Array.isArray)
  const isNamed = typeof state.bootId === 'string' && typeof state.kubeconfig === 'string'
  return state.version === 1 && isShaped && isNamed && isObject(state.supervisor) && isObject(state.phase)
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null
}

/** True when the supervisor of this state is alive. */
export function isSupervised(state: LabState): boolean {
  return state.bootId === readBootId() && isAlive(state.supervisor)
}
