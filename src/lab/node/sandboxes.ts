import { randomBytes } from 'node:crypto'
import type { Pod } from '../../api/index.ts'
import type { Clock } from '../../base/index.ts'
import { isNamespace, unmount } from '../../netlink/index.ts'
import type { PauseRunner } from '../pause.ts'
import { endProcesses, isAlive } from '../process-table.ts'
import type { SandboxNetwork } from './sandbox-network.ts'
import type { SandboxRecord, SandboxStore } from './sandbox-store.ts'

export interface SandboxPorts {
  readonly store: SandboxStore
  readonly network: SandboxNetwork
  readonly pause: Pick<PauseRunner, 'startPause'>
  readonly clock: Clock
}

/** A sandbox whose ADD succeeded. */
export interface ReadySandbox extends SandboxRecord {
  readonly ips: readonly string[]
}

const stopGraceMs = 2000

/** Makes and removes the sandboxes of one node. Each step is written down before it has effects. */
export class Sandboxes {
  readonly #ports: SandboxPorts

  constructor(ports: SandboxPorts) {
    this.#ports = ports
  }

  /** A new record, under a new container id, as a runtime takes one for each attempt. */
  async prepare(pod: Pod): Promise<SandboxRecord> {
    const containerId = randomBytes(32).toString('hex')
    const record = {
      containerId,
      podUid: pod.metadata.uid ?? '',
      namespace: pod.metadata.namespace ?? 'default',
      name: pod.metadata.name,
      createdAt: new Date(this.#ports.clock.nowMs()).toISOString(),
      netnsPath: this.#ports.store.netnsPath(containerId),
    }
    await this.#ports.store.write(record)
    return record
  }

  /**
   * Starts the pause process and runs CNI ADD. After a failure the sandbox has to be removed.
   * @param onChange gets each new state of the record, already stored
   */
  async start(
    record: SandboxRecord,
    onChange: (record: SandboxRecord) => void,
    signal: AbortSignal,
  ): Promise<ReadySandbox> {
    const list = await this.#ports.network.readList()
    const process = await this.#ports.pause.startPause(record.netnsPath, signal)
    const started = { ...record, process, networkList: list.text }
    onChange(started)
    await this.#ports.store.write(started)
    const ips = await this.#ports.network.add(started, list, signal)
    const ready = { ...started, ips }
    onChange(ready)
    await this.#ports.store.write(ready)
    return ready
  }

  /** Ends the pause process, runs CNI DEL, removes the namespace and the record. To be repeated when it fails. */
  async remove(record: SandboxRecord, signal: AbortSignal): Promise<void> {
    if (record.process !== undefined) {
      await endProcesses([record.process], stopGraceMs, this.#ports.clock, signal)
    }
    const isMounted = isNamespace(record.netnsPath)
    // A record that was lost may have had an ADD: DEL of nothing is harmless.
    const isAddPossible = record.networkList !== undefined || record.podUid === ''
    if (isAddPossible) await this.#ports.network.remove(record, isMounted ? record.netnsPath : '', signal)
    while (unmount(record.netnsPath));
    await this.#ports.store.remove(record.containerId)
  }
}

/** True when the sandbox has addresses, its process and its namespace. */
export function isReady(record: SandboxRecord): record is ReadySandbox {
  return record.ips !== undefined && isPauseAlive(record)
}

export function isPauseAlive(record: SandboxRecord): boolean {
  return record.process !== undefined && isAlive(record.process)
}
