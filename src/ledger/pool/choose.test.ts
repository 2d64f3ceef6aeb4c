import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { SpiderIpPool } from '../../api/index.ts'
import { Book } from '../blocks/book.ts'
import { AddressRefusedError } from '../errors.ts'
import { chooseAddresses } from './choose.ts'
import { reservedOf } from './offered.ts'
import { PoolViews } from './pool-views.ts'
import type { Want } from './want.ts'

const poolOf = (name: string, spec: Partial<SpiderIpPool['spec']>): SpiderIpPool => ({
  metadata: { name },
  spec: { subnet: '10.6.0.0/16', ...spec },
})
const a = poolOf('a', { ips: ['10.6.1.1-10.6.1.9'], excludeIPs: ['10.6.1.5'], gateway: '10.6.1.9' })
const b = poolOf('b', { ips: ['10.6.1.8-10.6.1.20'] })
const reserved = reservedOf([{ metadata: { name: 'r' }, spec: { ips: ['10.6.1.4'] } }])
const wantOf = (ips: readonly string[], pools = [a, b]): Want => ({ nic: 'eth0', version: 4, pools, ips })

function worldOf(namespace = 'default'): {
  book: Book
  choose: (wants: readonly Want[]) => readonly string[]
} {
  const book = new Book({ nowMs: () => 0 })
  const views = new PoolViews(book, { clock: { nowMs: () => 0 }, random: { next: () => 0.5 } })
  book.onFree = (ip, sinceMs) => views.noteFree(ip, sinceMs)
  const choose = (wants: readonly Want[]) =>
    chooseAddresses(wants, { reserved, views, book, namespace }).map(
      ({ ip, pool }) => `${ip} of ${pool.metadata.name}`,
    )
  return { book, choose }
}
function hold(book: Book, ip: string): void {
  const entry = {
    pool: 'other',
    nic: 'net1',
    owner: { kind: 'pod' as const, uid: 'u1' },
    pod: 'default/holder',
    podUid: 'u1',
    node: 'n',
    since: 1,
    grant: { prefixBits: 16 },
  }
  book.set(book.blockOfIp(ip), ip, entry)
}

void test('a named address comes from the first pool that offers it, the first that is free in the order asked', () => {
  const { book, choose } = worldOf()
  assert.deepEqual(choose([wantOf(['10.6.1.8', '10.6.1.2'])]), ['10.6.1.8 of a'])
  assert.deepEqual(choose([wantOf(['10.6.1.8', '10.6.1.15', '10.6.1.2'])]), ['10.6.1.15 of b'])
  hold(book, '10.6.1.2')
  assert.deepEqual(choose([wantOf(['10.6.1.2', '10.6.1.5', '10.6.1.3'])]), ['10.6.1.3 of a'])
})

void test('a refusal says of each named address why it is not given, and takes nothing', () => {
  const { book, choose } = worldOf()
  hold(book, '10.6.1.1')
  book.blockOfIp('10.6.1.2').unreadable = new Set(['10.6.1.2'])
  book.reserve('10.6.1.3')
  const named = ['10.6.1.1', '10.6.1.2', '10.6.1.3', '10.6.1.4', '10.6.1.5', '10.6.1.99', 'fd00::1']
  const any: Want = { nic: 'net1', version: 4, pools: [b] }
  assert.throws(
    () => choose([any, wantOf(named)]),
    (error) => {
      assert(error instanceof AddressRefusedError)
      const words = [
        'failed to allocate any of the IPv4 addresses that were asked for to NIC eth0: ',
        '10.6.1.1 is held by pod default/holder (uid u1, NIC net1); ',
        '10.6.1.2 is taken, its record cannot be read; ',
        '10.6.1.3 is being given to another; ',
        '10.6.1.4 is reserved by a SpiderReservedIP; ',
        '10.6.1.5 is excluded by IPPool a; ',
        '10.6.1.99 is in none of the eligible IPPools [a, b]; ',
        'fd00::1 is no IPv4 address',
      ]
      assert.equal(error.message, words.join(''))
      assert.match(error.hint, /or free it where it is held$/)
      return true
    },
  )
  // Nobody can free what nobody has.
  assert.throws(() => choose([wantOf(['10.6.1.4', '10.6.1.5', '10.6.1.99'])]), {
    hint: 'Ask for a free address that spec.ips of one of the pools has, and that is no gateway, excluded or reserved',
  })
  assert.throws(() => choose([{ ...wantOf(['10.6.1.99']), nic: '' }]), {
    message: /IPv4 addresses that were asked for: 10\.6\.1\.99 is in none/,
  })
  assert.throws(() => choose([wantOf(['10.6.1.9'], [a])]), /10\.6\.1\.9 is the gateway of IPPool a/)
  assert.deepEqual([...book.beingWritten()], ['10.6.1.3'], 'what others wants had is given back')
  assert.deepEqual(choose([any]), ['10.6.1.8 of b'])
})

void test('a holder is named inside its namespace alone, and not at all when the pools do not offer the address', () => {
  const quarantine = {
    since: 0,
    until: 1000,
    mac: '02:00:00:00:00:01',
    pod: 'default/holder',
    nic: 'eth0',
    node: 'n',
  }
  const told = (namespace: string, ip: string): string => {
    const { book, choose } = worldOf(namespace)
    for (const held of ['10.6.1.1', '10.6.2.1', '10.6.1.5']) hold(book, held)
    for (const kept of ['10.6.1.2', '10.6.2.2']) book.setQuarantine(book.blockOfIp(kept), kept, quarantine)
    try {
      choose([wantOf([ip])])
    } catch (error) {
      assert(error instanceof AddressRefusedError)
      return error.message.slice(error.message.indexOf('eth0: ') + 6)
    }
    return 'given'
  }
  assert.equal(told('default', '10.6.1.1'), '10.6.1.1 is held by pod default/holder (uid u1, NIC net1)')
  for (const namespace of ['evil', 'def', ''])
    assert.equal(told(namespace, '10.6.1.1'), '10.6.1.1 is held by a pod of another namespace')
  assert.match(
    told('default', '10.6.1.2'),
    /MAC 02:00:00:00:00:01 answered for it at .*, when pod default\/holder had it/,
  )
  assert.match(
    told('evil', '10.6.1.2'),
    /: somebody answered for it at .*, when a pod of another namespace had it/,
  )
  for (const namespace of ['default', 'evil']) {
    for (const ip of ['10.6.2.1', '10.6.2.2', '10.6.2.3'])
      assert.equal(told(namespace, ip), `${ip} is in none of the eligible IPPools [a, b]`)
    assert.equal(told(namespace, '10.6.1.5'), '10.6.1.5 is excluded by IPPool a')
  }
})

void test('a thousand addresses that no pool offers cost a few looks at the spec of each pool, and twenty reasons', () => {
  const { choose } = worldOf()
  let reads = 0
  const spec = {
    subnet: '10.6.0.0/16',
    excludeIPs: ['10.6.3.1'],
    get ips() {
      reads++
      return ['10.6.3.1-10.6.3.9']
    },
  }
  const metered: SpiderIpPool = { metadata: { name: 'metered' }, spec }
  const ips = Array.from({ length: 1000 }, (_, n) => `10.7.${n >> 8}.${n & 255}`)
  assert.throws(
    () => choose([wantOf(ips, [metered])]),
    (error) => {
      assert(error instanceof AddressRefusedError)
      assert.equal(error.message.split('is in none of the eligible IPPools').length - 1, 20)
      assert.match(error.message, /; and 980 more$/)
      return true
    },
  )
  assert(reads < 10, `spec.ips was read ${reads} times`)
})

void test('a NIC that takes any address leaves the named one to the NIC that names it', () => {
  const { choose } = worldOf()
  const any: Want = { nic: 'net1', version: 4, pools: [a] }
  assert.deepEqual(choose([any, wantOf(['10.6.1.1'])]), ['10.6.1.2 of a', '10.6.1.1 of a'])
  assert.throws(() => choose([wantOf(['10.6.1.3']), wantOf(['10.6.1.3'])]), /is being given to another/)
})

void test('a pool that cannot be read offers nothing by name', () => {
  const { choose } = worldOf()
  const broken = poolOf('broken', { ips: ['10.6.1.x'] })
  assert.deepEqual(choose([wantOf(['10.6.1.7'], [broken, a])]), ['10.6.1.7 of a'])
  assert.throws(() => choose([wantOf(['10.6.1.7'], [broken])]), /in none of the eligible IPPools \[broken\]/)
})

void test('no address is chosen twice, whatever is named, taken by order and given back', () => {
  const named = fc.integer({ min: 1, max: 12 }).map((n) => `10.6.1.${n}`)
  const step = fc.oneof(
    fc.record({ kind: fc.constant('named' as const), ips: fc.array(named, { minLength: 1, maxLength: 3 }) }),
    fc.record({ kind: fc.constant('any' as const) }),
    fc.record({ kind: fc.constant('back' as const), at: fc.nat(20) }),
  )
  const law = fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
    const { book, choose } = worldOf()
    const taken = new Set<string>()
    for (const one of steps) {
      if (one.kind === 'back') {
        const ip = [...taken][one.at]
        if (ip !== undefined && taken.delete(ip)) book.unreserve(ip)
        continue
      }
      const want = one.kind === 'any' ? { nic: 'eth0', version: 4 as const, pools: [a] } : wantOf(one.ips)
      const free = (ip: string) => !taken.has(ip)
      try {
        const ip = choose([want])[0]?.split(' ')[0] ?? ''
        assert(free(ip), `${ip} was given twice`)
        if (one.kind === 'named') assert(one.ips.includes(ip))
        taken.add(ip)
      } catch (error) {
        if (one.kind === 'any') assert.equal([1, 2, 3, 6, 7, 8].filter((n) => free(`10.6.1.${n}`)).length, 0)
        else {
          assert(error instanceof AddressRefusedError)
          const refused = ['10.6.1.4', '10.6.1.5']
          assert(one.ips.every((ip) => !free(ip) || refused.includes(ip)))
        }
      }
    }
  })
  fc.assert(law)
})
