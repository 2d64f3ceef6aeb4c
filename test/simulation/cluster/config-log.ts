import type { SpiderIpPool } from '../../../src/api/index.ts'
import type { ControllerProcess } from './controller-process.ts'

/** An ADD that began with an older configuration ends within this time. */
const windowMs = 30_000

interface State {
  readonly atMs: number
  readonly allowed: ReadonlySet<string>
}

/**
 * Which addresses each controller might newly give, from when to when: caches lag, so that each knows another configuration.
 * The pools of the simulation list their addresses one by one, which makes this a matter of sets of texts.
 */
export class ConfigLog {
  readonly #states = new Map<ControllerProcess, State[]>()
  readonly #nowMs: () => number

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs
  }

  /** Notes what the caches of a controller that serves say now. */
  note(controller: ControllerProcess): void {
    const taken = new Set<string>()
    for (const { spec, metadata } of controller.caches.reservedIps.values()) {
      if (metadata.deletionTimestamp === undefined) for (const ip of spec.ips ?? []) taken.add(ip)
    }
    const allowed = new Set<string>()
    for (const pool of controller.caches.pools.values()) {
      if (pool.metadata.deletionTimestamp !== undefined) continue
      for (const ip of listedIn(pool)) if (!taken.has(ip)) allowed.add(`${pool.metadata.name} ${ip}`)
    }
    const states = this.#states.get(controller) ?? []
    states.push({ atMs: this.#nowMs(), allowed })
    this.#states.set(controller, states)
  }

  /** True when the controller could give the address in good faith at that time, or a short time before. */
  mightGive(controller: ControllerProcess, pool: string, ip: string, atMs: number): boolean {
    const states = this.#states.get(controller) ?? []
    const within = states.filter((_, index) => (states[index + 1]?.atMs ?? Infinity) >= atMs - windowMs)
    return within.some(({ allowed }) => allowed.has(`${pool} ${ip}`))
  }

  /** True when all controllers have known them as addresses of some pool for a while. */
  areAllowed(ips: readonly string[]): boolean {
    const sinceMs = this.#nowMs() - windowMs
    for (const states of this.#states.values()) {
      for (const [index, { allowed }] of states.entries()) {
        if ((states[index + 1]?.atMs ?? Infinity) < sinceMs) continue
        const known = new Set([...allowed].map((text) => text.split(' ')[1]))
        if (!ips.every((ip) => known.has(ip))) return false
      }
    }
    return true
  }
}

export function listedIn({ spec }: SpiderIpPool): readonly string[] {
  return (spec.ips ?? []).filter((ip) => spec.excludeIPs?.includes(ip) !== true)
}
