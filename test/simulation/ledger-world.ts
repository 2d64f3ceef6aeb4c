import assert from 'node:assert/strict'
import type { BlockOwner, SpiderIpPool } from '../../src/api/index.ts'
import { silentLogger, toError } from '../../src/base/index.ts'
import {
  type AddCall,
  Ledger,
  LedgerDeposedError,
  MemoryBlockStore,
  type OwnedAddress,
  ownerKey,
  PoolFullError,
  reservedOf,
} from '../../src/ledger/index.ts'
import { type Faults, FaultyStore } from './faulty-store.ts'
import { Scheduler } from './scheduler.ts'
import { UnavailableError } from './unavailable-error.ts'

const never = new AbortController().signal
const noReserved = reservedOf([])

/** Pools over two blocks each, with fewer addresses than pods want. */
export const pools: Readonly<Record<'v4' | 'v6' | 'second' | 'overlap', SpiderIpPool>> = {
  v4: pool('v4', '10.0.0.0/16', ['10.0.0.126-10.0.0.129']),
  v6: pool('v6', 'fd00::/64', ['fd00::7e-fd00::81']),
  second: pool('second', '10.1.0.0/16', ['10.1.0.126-10.1.0.129']),
  overlap: pool('overlap', '10.0.0.0/16', ['10.0.0.127-10.0.0.130']),
}
function pool(name: string, subnet: string, ips: readonly string[]): SpiderIpPool {
  return { metadata: { name }, spec: { subnet, ips } }
}

interface Leader {
  readonly name: string
  readonly term: number
  ledger: Ledger | undefined
  isCrashed: boolean
}

/** What a pod asks for: NIC and pools, one address each. */
export type Wish = readonly {
  readonly nic: string
  readonly version: 4 | 6
  readonly pools: readonly SpiderIpPool[]
}[]

/** Several leaders, one store, and what an observer who sees all answers must find true after every step. */
export class LedgerWorld {
  readonly scheduler: Scheduler
  readonly store: MemoryBlockStore = new MemoryBlockStore()
  readonly #faults: Faults
  readonly #leaders: Leader[] = []
  /** Addresses that a client was told of and still counts on, with the owner. */
  readonly #inUse = new Map<string, string>()
  readonly counts: Record<'answered' | 'full' | 'failed' | 'leaders' | 'crashed' | 'quarantined', number> = {
    answered: 0,
    full: 0,
    failed: 0,
    leaders: 0,
    crashed: 0,
    quarantined: 0,
  }

  constructor(seed: number, faults: Faults) {
    this.scheduler = new Scheduler(seed)
    this.#faults = faults
  }

  /** A new leader with a higher term; the older ones may not know. */
  startLeader(): void {
    const term = this.#leaders.length + 1
    const leader: Leader = { name: `leader-${term}`, term, ledger: undefined, isCrashed: false }
    this.#leaders.push(leader)
    this.counts.leaders++
    void this.#open(leader)
  }

  async #open(leader: Leader): Promise<void> {
    const { name, term } = leader
    const store = new FaultyStore(this.store, this.scheduler, name, this.#faults)
    const clock = this.scheduler.clockOf(name)
    for (;;) {
      try {
        const options = { store, term, clock, random: this.scheduler.random, logger: silentLogger }
        leader.ledger = await Ledger.open(options, never)
        return
      } catch (error) {
        if (error instanceof LedgerDeposedError) return
        if (!(error instanceof UnavailableError)) throw error
        await this.scheduler.pause(name)
      }
    }
  }

  /** Stops, freezes or thaws a leader at random. */
  disturb(): void {
    const leader = this.#leaders[this.scheduler.below(this.#leaders.length)]
    if (leader === undefined || leader.isCrashed) return
    const roll = this.scheduler.below(5)
    if (roll === 4) leader.ledger?.resync(never).catch(isExpected)
    else if (roll === 0) this.scheduler.freeze(leader.name)
    else if (roll < 3) this.scheduler.thaw(leader.name)
    else {
      leader.isCrashed = true
      this.counts.crashed++
      this.scheduler.crash(leader.name)
    }
  }

  /** Mostly the newest leader that serves; now and then an older one that does not know better. */
  pick(): Leader | undefined {
    const serving = this.#leaders.filter(
      ({ ledger, isCrashed }) => ledger?.ended.aborted === false && !isCrashed,
    )
    return this.scheduler.chance(0.7) ? serving.at(-1) : serving[this.scheduler.below(serving.length)]
  }

  /** One request of a client, who gives up at a time of its own; the leader hears of that later, or never. */
  async request<T>(client: string, task: (ledger: Ledger, signal: AbortSignal) => Promise<T>): Promise<T> {
    const { scheduler } = this
    const leader = this.pick()
    const ledger = leader?.ledger
    if (leader === undefined || ledger === undefined) throw new UnavailableError()
    const controller = new AbortController()
    return new Promise<T>((resolve, reject) => {
      const giveUp = async () => {
        for (let patience = 5 + scheduler.below(60); patience > 0; patience--) await scheduler.pause(client)
        reject(new UnavailableError())
        scheduler.at(leader.name, () => controller.abort(new UnavailableError()))
      }
      void giveUp()
      // The request reaches the leader as an event of its own: a crashed or frozen leader does not get it.
      scheduler.at(leader.name, () => {
        task(ledger, controller.signal).then(resolve, (error: unknown) => reject(toError(error)))
      })
    })
  }

  /** CNI ADD. @returns true when it was answered */
  async add(client: string, call: AddCall, wish: Wish): Promise<boolean> {
    const key = ownerKey(call.owner)
    const before = [...this.#inUse].filter(([, owner]) => owner === key).map(([ip]) => ip)
    const isOneLeader = this.#leaders.length === 1
    // Two leaders may each know another address of the owner. Until this ADD is answered, none of them is in use.
    if (!isOneLeader) this.forget(key)
    try {
      const { addresses } = await this.request(client, (ledger, signal) => ledger.add(call, signal))
      const ips = addresses.map(({ ip }) => ip)
      assert.equal(ips.length, wish.length, `${client}: half an answer`)
      if (isOneLeader && before.length > 0)
        assert.deepEqual(ips, before, `${client}: the owner gets its own back`)
      this.forget(key)
      for (const ip of ips) {
        assert.equal(this.#inUse.get(ip), undefined, `${ip} has two owners`)
        this.#inUse.set(ip, key)
      }
      this.counts.answered++
      return true
    } catch (error) {
      if (error instanceof PoolFullError) this.counts.full++
      else if (error instanceof UnavailableError || error instanceof LedgerDeposedError) this.counts.failed++
      else throw error
      return false
    }
  }

  /** The agent finds that somebody else uses an address of its sandbox. The pod counts on none of them until it has another. */
  async quarantine(client: string, { owner, containerId, nic, node, pod }: AddCall): Promise<void> {
    this.forget(ownerKey(owner))
    const sandbox = { containerId, ifName: nic, node }
    const record = await this.request(client, async (ledger, signal) => {
      const [held] = ledger.ofContainer(containerId, nic)
      return held === undefined ? undefined : ledger.quarantine(held, { sandbox, pod }, signal)
    })
    if (record !== undefined) this.counts.quarantined++
  }

  /** An operator ends a quarantine. */
  async pardon(client: string): Promise<void> {
    const ips = [...this.store.quarantines().keys()]
    const ip = ips[this.scheduler.below(Math.max(1, ips.length))]
    if (ip !== undefined) await this.request(client, (ledger, signal) => ledger.endQuarantine(ip, signal))
  }

  /** The owner no longer counts on what it was told. */
  forget(key: string): void {
    for (const [ip, owner] of this.#inUse) if (owner === key) this.#inUse.delete(ip)
  }

  /** No acknowledged address is lost or has another owner in the durable truth. */
  check(): void {
    const entries = this.store.entries()
    const quarantines = this.store.quarantines()
    for (const [ip, owner] of this.#inUse) {
      assert(!quarantines.has(ip), `${ip} of ${owner} was answered and is quarantined`)
      const entry = entries.get(ip)
      assert(entry !== undefined, `${ip} of ${owner} was answered and is lost`)
      assert.equal(ownerKey(entry.owner), owner, `${ip} was answered to ${owner}`)
    }
  }

  /** Ends all faults, lets everything under way land, and takes over with a last leader. */
  async settle(): Promise<Ledger> {
    Object.assign(this.#faults, { lost: 0, unanswered: 0, late: 0 })
    for (const { name } of this.#leaders) this.scheduler.thaw(name)
    while (await this.scheduler.step()) this.check()
    this.startLeader()
    while (await this.scheduler.step()) this.check()
    const ledger = this.#leaders.at(-1)?.ledger
    assert(ledger !== undefined, 'the last leader serves')
    return ledger
  }

  callOf(options: {
    readonly owner: BlockOwner
    readonly podUid: string
    readonly containerId: string
    readonly wish: Wish
  }): AddCall {
    const { owner, podUid, containerId, wish } = options
    return {
      owner,
      pod: `default/${owner.kind === 'sticky' ? `${owner.name}-${owner.replica}` : podUid}`,
      podUid,
      node: 'node',
      containerId,
      nic: 'eth0',
      reserved: noReserved,
      plan: (existing) => {
        const kept = wish.map((want) => newestOf(existing, want))
        return {
          drop: existing.filter((address) => !kept.includes(address)).map(({ ip }) => ip),
          wants: wish.filter((_, index) => kept[index] === undefined),
        }
      },
      grant: () => ({ prefixBits: 16 }),
    }
  }
}

/** What a call may end with under faults. @throws anything else */
export function isExpected(error: unknown): void {
  const isOurs = error instanceof UnavailableError || error instanceof LedgerDeposedError
  if (!isOurs) throw error
}

function newestOf(
  existing: readonly OwnedAddress[],
  want: { readonly version: 4 | 6; readonly pools: readonly SpiderIpPool[] },
): OwnedAddress | undefined {
  return existing
    .filter(({ entry }) => want.pools.some(({ metadata }) => metadata.name === entry.pool))
    .filter(({ ip }) => ip.includes(':') === (want.version === 6))
    .sort((a, b) => b.entry.since - a.entry.since)[0]
}
