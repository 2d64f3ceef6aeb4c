import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatIpValue, parseIp, parseRanges } from '../../address/index.ts'
import type { AllocationPolicy } from '../../api/index.ts'
import { FreeSample } from './free-sample.ts'
import { type AddressStates, PoolView } from './pool-view.ts'

/** Lehmer's generator: the same numbers for the same seed. */
function randomOf(seed: number): { next: () => number } {
  let state = seed
  const next = () => {
    state = (state * 48271) % 2147483647
    return state / 2147483647
  }
  return { next }
}

/** Touched addresses of a small universe, as the naive model keeps them. */
class Model implements AddressStates {
  readonly taken = new Set<string>()
  readonly releasedAtMs = new Map<string, number>()
  readonly untilMs = new Map<string, number>()
  nowMs = 0
  isTouched(ip: string): boolean {
    return this.taken.has(ip) || this.releasedAt(ip) !== undefined
  }
  isFree(ip: string): boolean {
    return !this.taken.has(ip) && (this.untilMs.get(ip) ?? 0) <= this.nowMs
  }
  isWaiting(ip: string): boolean {
    return !this.taken.has(ip) && !this.isFree(ip)
  }
  releasedAt(ip: string): number | undefined {
    return this.untilMs.get(ip) ?? this.releasedAtMs.get(ip)
  }
  *released(): Generator<readonly [string, number]> {
    for (const ip of new Set([...this.releasedAtMs.keys(), ...this.untilMs.keys()])) {
      yield [ip, this.releasedAt(ip) ?? 0]
    }
  }
  get releasedCount(): number {
    return this.releasedAtMs.size + this.untilMs.size
  }
  take(ip: string): void {
    this.taken.add(ip)
    this.releasedAtMs.delete(ip)
    this.untilMs.delete(ip)
  }
  /** All that the policy may choose now: one, but for `random`. */
  expected(ips: readonly string[], policy: AllocationPolicy, coolDownMs: number): readonly string[] {
    const free = ips.filter((ip) => this.isFree(ip))
    const unused = free.filter((ip) => !this.isTouched(ip))
    const isCool = (ip: string) => (this.releasedAt(ip) ?? -Infinity) + coolDownMs <= this.nowMs
    const cool = policy === 'leastRecentlyReleased' ? unused : free.filter(isCool)
    if (cool.length > 0) return policy === 'random' ? cool : cool.slice(0, 1)
    return [...free].sort((a, b) => (this.releasedAt(a) ?? 0) - (this.releasedAt(b) ?? 0)).slice(0, 1)
  }
}

const policies: readonly AllocationPolicy[] = ['leastRecentlyReleased', 'lowest', 'random']
const cases = policies.flatMap((policy) => ([4, 6] as const).map((version) => ({ policy, version })))
const kinds = [
  'take',
  'take',
  'free',
  'other',
  'giveBack',
  'rebuild',
  'wait',
  'quarantine',
  'pardon',
] as const

for (const { policy, version } of cases) {
  void test(`next() of an IPv${version} pool is that of a naive model (${policy}), whatever happens to addresses`, () => {
    const ips = Array.from({ length: 12 }, (_, i) =>
      version === 4 ? `10.0.0.${120 + i}` : `fd00::${(0x78 + i).toString(16)}`,
    )
    const offered = ips.filter((_, i) => i !== 3 && i !== 7)
    const step = fc.record({ kind: fc.constantFrom(...kinds), at: fc.nat(11) })
    const law = fc.property(
      fc.array(step, { maxLength: 80 }),
      fc.constantFrom(0, 5, 20),
      (run, coolDownMs) => {
        const model = new Model()
        const random = randomOf(1 + run.length)
        const ports = {
          clock: { nowMs: () => model.nowMs },
          random,
        }
        const make = () => new PoolView(parseRanges(offered, version), { policy, coolDownMs }, model, ports)
        let view = make()
        for (const { kind, at } of run) {
          model.nowMs++
          const ip = ips[at] ?? ''
          const { value } = parseIp(ip)
          if (kind === 'take' || kind === 'giveBack') {
            const expected = model.expected(offered, policy, coolDownMs)
            const choice = view.next()
            if (choice === undefined) assert.deepEqual(expected, [])
            if (choice === undefined) continue
            assert(expected.includes(choice.ip), `${choice.ip} is none of ${expected.join()}`)
            assert.equal(choice.sinceMs, model.releasedAt(choice.ip))
            if (kind === 'take') model.take(choice.ip)
            else view.noteFree(parseIp(choice.ip).value, choice.sinceMs)
          } else if (kind === 'free' && model.taken.delete(ip)) {
            model.releasedAtMs.set(ip, model.nowMs)
            view.noteFree(value, model.nowMs)
          } else if (kind === 'quarantine' && model.taken.delete(ip)) {
            model.releasedAtMs.set(ip, model.nowMs)
            model.untilMs.set(ip, model.nowMs + 15)
            view.noteFree(value, model.nowMs + 15)
          } else if (kind === 'pardon' && model.untilMs.delete(ip)) {
            view.noteFree(value, model.releasedAt(ip))
          } else if (kind === 'other' && model.isFree(ip))
            model.take(ip) // by an overlapping pool
          else if (kind === 'wait') model.nowMs += 7
          else if (kind === 'rebuild') view = make()
        }
      },
    )
    fc.assert(law, { numRuns: 300 })
  })
}

/** A pool of so many addresses with `used` in use: each second one pod goes, the longest running one, and one comes. */
function churn(count: number, used: number, policy: AllocationPolicy) {
  const model = new Model()
  const ports = { clock: { nowMs: () => model.nowMs }, random: randomOf(1) }
  const offered = parseRanges([`10.0.0.1-10.0.0.${count}`], 4)
  const view = new PoolView(offered, { policy, coolDownMs: 60_000 }, model, ports)
  const pods: string[] = []
  const gaps: number[] = []
  const isLongest: boolean[] = []
  const take = () => {
    const resting = [...model.releasedAtMs].filter(([ip]) => model.isFree(ip))
    const longest = Math.min(...resting.map(([, since]) => since))
    const choice = view.next()
    assert(choice !== undefined)
    if (choice.sinceMs !== undefined) gaps.push(model.nowMs - choice.sinceMs)
    if (choice.sinceMs !== undefined) isLongest.push(choice.sinceMs === longest)
    model.take(choice.ip)
    pods.push(choice.ip)
  }
  for (let i = 0; i < used; i++) take()
  for (let second = 0; second < 1000; second++) {
    model.nowMs += 1000
    const gone = pods.shift() ?? ''
    model.taken.delete(gone)
    model.releasedAtMs.set(gone, model.nowMs)
    view.noteFree(parseIp(gone).value, model.nowMs)
    take()
  }
  return { gaps, isLongest, ips: new Set(pods) }
}

for (const policy of policies) {
  void test(`no address of 200 is used again within its cool-down (${policy}), one create and delete a second`, () => {
    const { gaps } = churn(200, 5, policy)
    assert(gaps.length > 0 && Math.min(...gaps) >= 60_000, `an address rested ${Math.min(...gaps)} ms`)
  })
  void test(`a pool of 6 gives the longest-resting address each time, and is never refused (${policy})`, () => {
    const { gaps, isLongest } = churn(6, 5, policy)
    assert.equal(gaps.length, 999)
    assert(isLongest.every(Boolean))
    assert(
      gaps.every((gap) => gap < 60_000),
      'each is told of',
    )
  })
}

void test('a cool-down of nothing gives the lowest free address at once', () => {
  const model = new Model()
  const ports = { clock: { nowMs: () => model.nowMs }, random: { next: () => 0 } }
  const view = new PoolView(
    parseRanges(['10.0.0.1-10.0.0.9'], 4),
    { policy: 'lowest', coolDownMs: 0 },
    model,
    ports,
  )
  for (const _ of [1, 2, 3]) model.take(view.next()?.ip ?? '')
  model.taken.delete('10.0.0.2')
  model.releasedAtMs.set('10.0.0.2', 0)
  view.noteFree(parseIp('10.0.0.2').value, 0)
  assert.deepEqual(view.next(), { ip: '10.0.0.2', sinceMs: 0 })
})

void test('random choice is uniform over the free addresses, and over a /64', () => {
  const random = randomOf(1)
  const model = new Model()
  const offered = parseRanges(['10.0.0.1-10.0.0.5', '10.0.1.1-10.0.1.5'], 4)
  for (const ip of ['10.0.0.2', '10.0.1.5']) model.take(ip)
  const counts = new Map<string, number>()
  for (let i = 0; i < 8000; i++) {
    const view = new PoolView(offered, { policy: 'random', coolDownMs: 0 }, model, { clock: model0, random })
    const ip = view.next()?.ip ?? ''
    counts.set(ip, (counts.get(ip) ?? 0) + 1)
  }
  assert.equal(counts.size, 8)
  for (const [ip, count] of counts) assert(Math.abs(count - 1000) < 150, `${ip} came ${count} times of 8000`)
  const huge = new FreeSample(parseRanges(['fd00::-fd00::ffff:ffff:ffff:ffff'], 6))
  const halves = [0, 0]
  const seen = new Set<string>()
  for (let i = 0; i < 2000; i++) {
    const value = huge.pick(random)
    assert(value !== undefined)
    seen.add(formatIpValue(value))
    huge.delete(value)
    const half = BigInt(value) & (1n << 63n) ? 1 : 0
    halves[half] = (halves[half] ?? 0) + 1
  }
  assert.equal(seen.size, 2000)
  assert(Math.abs((halves[0] ?? 0) - 1000) < 150, halves.join())
})
const model0 = { nowMs: () => 0 }

for (const policy of policies) {
  void test(`the cost of a choice does not depend on the size of the pool (${policy})`, () => {
    // Counted, not timed: how often the states of single addresses are asked for.
    const costOf = (range: string, version: 4 | 6): number => {
      const model = new Model()
      let asked = 0
      const isFree = (ip: string) => {
        asked++
        return model.isFree(ip)
      }
      const isTouched = (ip: string) => {
        asked++
        return model.isTouched(ip)
      }
      const states: AddressStates = {
        isFree,
        isTouched,
        isWaiting: (ip) => model.isWaiting(ip),
        releasedAt: (ip) => model.releasedAt(ip),
        released: () => model.released(),
        releasedCount: 0,
      }
      const ports = { clock: { nowMs: () => model.nowMs }, random: randomOf(1) }
      const view = new PoolView(parseRanges([range], version), { policy, coolDownMs: 1000 }, states, ports)
      for (let i = 0; i < 2500; i++) {
        model.nowMs += 100
        const ip = view.next()?.ip ?? ''
        model.take(ip)
        model.taken.delete(ip)
        model.releasedAtMs.set(ip, model.nowMs)
        view.noteFree(parseIp(ip).value, model.nowMs)
      }
      return asked
    }
    const small = costOf('10.0.0.0-10.0.3.255', 4)
    for (const cost of [
      costOf('10.16.0.0-10.31.255.255', 4),
      costOf('fd00::-fd00::3ff', 6),
      costOf('fd00::-fd00::ffff:ffff:ffff:ffff', 6),
    ]) {
      assert(cost <= 3 * small, `${cost} looks at addresses, ${small} with 1,024 addresses`)
    }
  })
}
