import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { BlockEntry, BlockOwner, Pod } from '../../api/index.ts'
import { claimsOfEndpoint, type FoundClaim } from './found-claims.ts'
import { type AdoptionFacts, planAdoption } from './plan-adoption.ts'

const claimOf = (name: string, more: Partial<FoundClaim> = {}): FoundClaim => ({
  from: 'record',
  ip: '10.7.1.1',
  pool: 'p4',
  pod: `race/${name}`,
  podUid: `uid-${name}`,
  node: '',
  nic: '',
  ...more,
})

function factsOf(more: Partial<AdoptionFacts> = {}, pods: readonly Pod[] = []): AdoptionFacts {
  return {
    nowMs: 7,
    findPod: (pod) => pods.find(({ metadata }) => `${metadata.namespace ?? ''}/${metadata.name}` === pod),
    ownerOf: ({ podUid }) => ({ kind: 'pod', uid: podUid }),
    grantOf: () => ({ prefixBits: 16, gateway: '10.7.0.1' }),
    entryOf: () => undefined,
    ...more,
  }
}

void test('a record alone becomes an entry without a NIC, with what the pool gives and the node of its pod', () => {
  const pod = { metadata: { name: 'a', namespace: 'race', uid: 'uid-a' }, spec: { nodeName: 'n1' } }
  assert.deepEqual(planAdoption([claimOf('a')], factsOf({}, [pod])), [
    {
      ip: '10.7.1.1',
      holders: [
        {
          pool: 'p4',
          nic: '',
          owner: { kind: 'pod', uid: 'uid-a' },
          pod: 'race/a',
          podUid: 'uid-a',
          node: 'n1',
          since: 7,
          grant: { prefixBits: 16, gateway: '10.7.0.1' },
          adopted: 'record',
        },
      ],
    },
  ])
})

void test('a record and an endpoint of one pod are one holder: pool of the record, NIC and answer of the endpoint', () => {
  const endpoint = claimOf('a', {
    from: 'endpoint',
    nic: 'net1',
    node: 'n2',
    pool: 'other',
    grant: { prefixBits: 24 },
  })
  const [found] = planAdoption([endpoint, claimOf('a')], factsOf())
  assert.equal(found?.holders.length, 1)
  const { pool, nic, node, grant, adopted } = found.holders[0] ?? {}
  assert.deepEqual(
    { pool, nic, node, grant, adopted },
    { pool: 'p4', nic: 'net1', node: 'n2', grant: { prefixBits: 24 }, adopted: 'record' },
  )
})

void test('a record of one pod and an endpoint of another are two holders, the record first', () => {
  const [found] = planAdoption([claimOf('b', { from: 'endpoint' }), claimOf('z')], factsOf())
  assert.deepEqual(
    found?.holders.map(({ pod }) => pod),
    ['race/z', 'race/b'],
  )
})

void test('pods of one replica are one holder: the pod that is there counts', () => {
  const owner: BlockOwner = {
    kind: 'sticky',
    group: 'apps',
    ownerKind: 'StatefulSet',
    name: 'db',
    uid: 'S1',
    replica: '0',
  }
  const record = claimOf('db-0', { podUid: 'U1' })
  const endpoint = claimOf('db-0', { podUid: 'U2', from: 'endpoint' })
  const pod = { metadata: { name: 'db-0', namespace: 'race', uid: 'U2' } }
  const [found] = planAdoption([record, endpoint], factsOf({ ownerOf: () => owner }, [pod]))
  assert.deepEqual(
    found?.holders.map(({ podUid }) => podUid),
    ['U2'],
  )
})

void test('a record without a uid is of the pod that is there under its name', () => {
  const pod = { metadata: { name: 'a', namespace: 'race', uid: 'uid-now' } }
  const [found] = planAdoption([claimOf('a', { podUid: '' })], factsOf({}, [pod]))
  assert.deepEqual(found?.holders[0]?.owner, { kind: 'pod', uid: 'uid-now' })
})

void test('what the ledger has already is left out; another holder of it is not', () => {
  const [known] = planAdoption([claimOf('a')], factsOf())
  const entry = known?.holders[0] as BlockEntry
  const entryOf = () => ({ ...entry, nic: 'eth0' })
  assert.deepEqual(planAdoption([claimOf('a')], factsOf({ entryOf })), [])
  const [found] = planAdoption([claimOf('a'), claimOf('b')], factsOf({ entryOf }))
  assert.deepEqual(
    found?.holders.map(({ pod }) => pod),
    ['race/b'],
  )
})

void test('the order of what was found does not matter, and nobody who was found is lost', () => {
  const claims = fc.array(
    fc.record({
      from: fc.constantFrom('record' as const, 'endpoint' as const),
      ip: fc.constantFrom('10.7.1.1', '10.7.1.2', 'fd00::1'),
      name: fc.constantFrom('a', 'b', 'c'),
    }),
  )
  fc.assert(
    fc.property(claims, (list) => {
      const found = list.map(({ name, ...more }) => claimOf(name, more))
      const planned = planAdoption(found, factsOf())
      const byIp = new Map(planned.map(({ ip, holders }) => [ip, holders]))
      for (const { ip, podUid } of found) {
        assert.ok(byIp.get(ip)?.some((holder) => holder.podUid === podUid))
      }
      for (const holders of byIp.values()) {
        assert.equal(new Set(holders.map(({ podUid }) => podUid)).size, holders.length)
      }
      const reversed = planAdoption([...found].reverse(), factsOf())
      const namesOf = (ip: string) =>
        reversed.find((one) => one.ip === ip)?.holders.map(({ pod, adopted }) => [pod, adopted])
      for (const { ip, holders } of planned) {
        assert.deepEqual(
          holders.map(({ pod, adopted }) => [pod, adopted]),
          namesOf(ip),
        )
      }
    }),
  )
})

void test('claimsOfEndpoint() reads both families of each NIC, and names what it cannot read', () => {
  const { claims, problems } = claimsOfEndpoint({
    metadata: { name: 'cart-0', namespace: 'shop' },
    status: {
      current: {
        uid: 'u1',
        node: 'n1',
        ips: [
          {
            interface: 'eth0',
            ipv4: '10.77.2.10/20',
            ipv4Pool: 'rack7-v4',
            ipv4Gateway: '10.77.0.1',
            ipv6: 'FD77::A/64',
            ipv6Pool: 'rack7-v6',
            vlan: 5,
            cleanGateway: true,
            mac: '0a:00:00:00:00:01',
            routes: [
              { dst: '192.168.40.0/24', gw: '10.77.0.254' },
              { dst: 'fd00:1::/64', gw: 'fd77::1' },
            ],
          },
          { interface: '', ipv4: '10.77.2.999/20', ipv4Pool: 'rack7-v4', ipv6: '10.77.2.9/20' },
        ],
      },
      ownerControllerType: 'StatefulSet',
      ownerControllerName: 'cart',
    },
  })
  assert.deepEqual(
    claims.map(({ ip, nic, grant }) => ({ ip, nic, grant })),
    [
      {
        ip: '10.77.2.10',
        nic: 'eth0',
        grant: {
          prefixBits: 20,
          gateway: '10.77.0.1',
          routes: [{ dst: '192.168.40.0/24', gw: '10.77.0.254' }],
          cleanGateway: true,
          vlan: 5,
          mac: '0a:00:00:00:00:01',
        },
      },
      {
        ip: 'fd77::a',
        nic: 'eth0',
        grant: {
          prefixBits: 64,
          routes: [{ dst: 'fd00:1::/64', gw: 'fd77::1' }],
          cleanGateway: true,
          vlan: 5,
          mac: '0a:00:00:00:00:01',
        },
      },
    ],
  )
  assert.deepEqual(
    problems.map(({ field, value }) => [field, value]),
    [
      ['status.current.ips[1].ipv4', '"10.77.2.999/20"'],
      ['status.current.ips[1].ipv6', '"10.77.2.9/20"'],
    ],
  )
  const bare = { metadata: { name: 'x' } } as Parameters<typeof claimsOfEndpoint>[0]
  assert.deepEqual(claimsOfEndpoint(bare), { claims: [], problems: [] })
})

void test('an endpoint gives the ledger no more text than its schema bounds', () => {
  const long = 'x'.repeat(10_000)
  const route = { dst: '192.168.40.0/24', gw: '10.77.0.254' }
  const routes = [
    { ...route, gw: long },
    { ...route, dst: long },
    ...Array.from({ length: 1500 }, () => route),
  ]
  const nic = {
    interface: long,
    ipv4: '10.77.2.10/20',
    ipv4Pool: long,
    ipv4Gateway: long,
    mac: long,
    vlan: 0,
    routes,
  }
  const { claims } = claimsOfEndpoint({
    metadata: { name: 'x', namespace: 'a' },
    status: {
      current: { uid: long, node: long, ips: [nic] },
      ownerControllerType: long,
      ownerControllerName: long,
    },
  })
  const workload = { kind: '', name: '' }
  const grant = { prefixBits: 20, routes: Array.from({ length: 1000 }, () => route) }
  const texts = { pool: '', pod: 'a/x', podUid: '', node: '', nic: '' }
  assert.deepEqual(claims, [{ from: 'endpoint', ip: '10.77.2.10', ...texts, grant, workload }])
})
