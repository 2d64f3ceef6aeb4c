import assert from 'node:assert/strict'
import test from 'node:test'
import { parseIp } from '../../address/index.ts'
import type { SpiderIpPool } from '../../api/index.ts'
import { planSet, type SetFacts } from './set-address.ts'

const pool = (name: string, ips: readonly string[], subnet = '10.6.0.0/16'): SpiderIpPool => ({
  metadata: { name },
  spec: { subnet, ips, excludeIPs: ['10.6.0.12'] },
})
const facts = (ip: string, pools: readonly SpiderIpPool[]): SetFacts => ({
  ...{ address: parseIp(ip), ip, entry: undefined, isUnreadable: false, releasedMs: undefined },
  ...{ quarantine: undefined, history: [], pools, reservations: [], pod: undefined, block: undefined },
})
const pools = [pool('main', ['10.6.0.10-10.6.0.19'])]
const hour = { kind: 'quarantine', forMs: 3_600_000 } as const

void test('an address of a pool is quarantined and reserved without a word, one that it excludes too', () => {
  for (const ip of ['10.6.0.10', '10.6.0.12']) {
    assert.equal(planSet(facts(ip, pools), hour, 0).kind, 'writeBlock')
    const plan = planSet(facts(ip, pools), { kind: 'reserve' }, 0)
    assert.deepEqual([plan.kind, 'warning' in plan], ['writeReservation', false])
  }
})

void test('an address that no pool has in spec.ips is not quarantined, and reserved with a warning', () => {
  for (const ip of ['10.6.0.20', '10.7.0.10', 'fd00::1']) {
    const plan = planSet(facts(ip, pools), hour, 0)
    assert.equal(plan.kind, 'refuse', ip)
    assert.match(plan.why, new RegExp(`no IPPool has ${ip.replaceAll('.', '\\.')} in spec\\.ips`))
    assert.match(plan.remedy, /check the address.*--reserve/)
    const reserved = planSet(facts(ip, pools), { kind: 'reserve' }, 0)
    assert.equal(reserved.kind, 'writeReservation')
    assert.match(reserved.warning ?? '', /pools that are yet to come; check the address/)
  }
})

void test('a pool that cannot be read may have the address', () => {
  assert.equal(planSet(facts('10.6.0.10', [pool('odd', ['10.6.0.x'])]), hour, 0).kind, 'writeBlock')
})
