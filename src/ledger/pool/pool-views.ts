import { parseIp } from '../../address/index.ts'
import type { SpiderIpPool } from '../../api/index.ts'
import { offeredBy, type Reserved } from './offered.ts'
import { type PoolRule, poolRuleOf } from './pool-rule.ts'
import { type AddressStates, PoolView, type ViewPorts } from './pool-view.ts'

interface CachedView {
  readonly signature: readonly string[]
  readonly reserved: Reserved
  readonly view: PoolView
}

const viewLimit = 20_000 // pools

/** The views of all pools, made when first asked for and again when the pool or the reservations changed. */
export class PoolViews {
  readonly #cached = new Map<string, CachedView>()
  readonly #states: AddressStates
  readonly #ports: ViewPorts

  constructor(states: AddressStates, ports: ViewPorts) {
    this.#states = states
    this.#ports = ports
  }

  /** @throws {InvalidInputError} when the pool's spec cannot be read */
  get(pool: SpiderIpPool, reserved: Reserved): PoolView {
    const name = pool.metadata.name
    const { subnet, ips = [], excludeIPs = [], gateway = '' } = pool.spec
    const rule = poolRuleOf(pool)
    const signature = [subnet, gateway, ...ips, '-', ...excludeIPs]
    const cached = this.#cached.get(name)
    const isSameSpec = cached !== undefined && isSame(cached.signature, signature)
    if (isSameSpec && cached.reserved === reserved && isSameRule(cached.view.rule, rule)) return cached.view
    const offered = offeredBy(pool, reserved)
    // A reservation elsewhere changes nothing here: keep the view, remember the new reservations.
    const isKept =
      cached?.view.offered.version === offered.version &&
      cached.view.offered.equals(offered) &&
      isSameRule(cached.view.rule, rule)
    const view = isKept ? cached.view : new PoolView(offered, rule, this.#states, this.#ports)
    if (this.#cached.size >= viewLimit) this.#cached.clear()
    this.#cached.set(name, { signature, reserved, view })
    return view
  }

  /** Told by the book: see its `onFree`. */
  noteFree(ip: string, sinceMs: number | undefined): void {
    const { version, value } = parseIp(ip)
    for (const { view } of this.#cached.values()) {
      if (view.offered.version === version) view.noteFree(value, sinceMs)
    }
  }
}

function isSame(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((text, index) => text === b[index])
}

function isSameRule(a: PoolRule, b: PoolRule): boolean {
  return a.policy === b.policy && a.coolDownMs === b.coolDownMs
}
