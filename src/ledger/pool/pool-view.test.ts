import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseIp, parseRanges } from '../../address/index.ts'
import { type AddressStates, PoolView } from './pool-view.ts'

/** Touched addresses of a small universe, as the naive model keeps them. */
class Model implements AddressStates {
  readonly taken = new Set<string>()
  readonly releasedAtMs = new Map<string, number>()
  isTouched(ip: string): boolean {
    return this.taken.has(ip) || this.releasedAtMs.has(ip)
  }
  isFree(ip: string): boolean {
    return !this.taken.has(ip)
  }
  releasedAt(ip: string): number | undefined {
    return this.releasedAtMs.get(ip)
  }
  released(): Iterable<readonly [string, number]> {
    return this.releasedAtMs
  }
  get releasedCount(): number {
    return this.releasedAtMs.size
  }
  /** Never-used ascending, then the longest-resting. */
  expected(ips: readonly string[]): string | undefined {
    const unused = ips.find((ip) => !this.isTouched(ip))
    if (unused !== undefined) return unused
    const resting = ips.filter((ip) => this.isFree(ip))
    return resting.sort((a, b) => (this.releasedAt(a) ?? 0) - (this.releasedAt(b) ?? 0))[0]
  }
}

for (const version of [4, 6] as const) {
  void test(`next() of an IPv${version} pool is that of a naive model, whatever is taken, freed and given back`, () => {
    const ips = Array.from({ length: 12 }, (_, i) =>
      version === 4 ? `10.0.0.${120 + i}` : `fd00::${(0x78 + i).toString(16)}`,
    )
    const offered = ips.filter((_, i) => i !== 3 && i !== 7)
    const steps = fc.array(
      fc.record({ kind: fc.constantFrom('take', 'free', 'other', 'giveBack', 'rebuild'), at: fc.nat(11) }),
      { maxLength: 60 },
    )
    const law = fc.property(steps, (run) => {
      const model = new Model()
      const make = () => new PoolView(parseRanges(offered, version), model)
      let view = make()
      let timeMs = 0
      for (const { kind, at } of run) {
        const ip = ips[at] ?? ''
        if (kind === 'take' || kind === 'giveBack') {
          const choice = view.next()
          assert.equal(choice?.ip, model.expected(offered))
          assert.equal(choice?.sinceMs, choice === undefined ? undefined : model.releasedAt(choice.ip))
          if (choice === undefined) continue
          if (kind === 'take') {
            model.taken.add(choice.ip)
            model.releasedAtMs.delete(choice.ip)
          } else view.noteFree(parseIp(choice.ip).value, choice.sinceMs)
        } else if (kind === 'free' && model.taken.delete(ip)) {
          model.releasedAtMs.set(ip, ++timeMs)
          view.noteFree(parseIp(ip).value, timeMs)
        } else if (kind === 'other' && model.isFree(ip)) {
          model.taken.add(ip) // by an overlapping pool
          model.releasedAtMs.delete(ip)
        } else if (kind === 'rebuild') view = make()
      }
    })
    fc.assert(law)
  })
}
