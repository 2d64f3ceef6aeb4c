import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Pod } from '../../api/index.ts'
import { InvalidInputError } from '../../base/index.ts'
import type { NicRequest } from '../../network/index.ts'
import { asksOf } from './pod-asks.ts'

interface Case {
  readonly ips?: unknown
  readonly mac?: unknown
  readonly requests?: Readonly<Record<string, NicRequest>>
  readonly nic?: string
  readonly runtimeIps?: readonly string[]
  readonly nics?: readonly string[]
  readonly knownNics?: readonly string[]
  readonly held?: readonly string[]
  readonly position?: number
}

function asked(one: Case) {
  const { ips, mac, requests = {}, nic = 'eth0', runtimeIps = [], nics = ['eth0', 'net1'] } = one
  const annotations = {
    ...(ips === undefined ? {} : { 'ipam.spidernet.io/ips': JSON.stringify(ips) }),
    ...(mac === undefined ? {} : { 'ipam.spidernet.io/mac': JSON.stringify(mac) }),
  }
  const pod: Pod = { metadata: { name: 'web-1', namespace: 'default', uid: 'u', annotations } }
  const { knownNics = nics, held = [], position } = one
  const networks = {
    nics,
    nadOf: (name: string) => (knownNics.includes(name) ? 'kube-system/a' : undefined),
    requestOf: (name: string) => requests[name] ?? {},
  }
  const asks = asksOf({
    pod,
    networks,
    nic,
    runtimeIps,
    heldNics: new Set(held),
    ...(position === undefined ? {} : { position }),
  })
  const short = [...asks].map(([name, ask]) => {
    const ipsOf = (version: 4 | 6) => ask.ips[version].map(({ ip }) => ip)
    return [name, [...ipsOf(4), ...ipsOf(6), ...(ask.mac === undefined ? [] : [ask.mac])]]
  })
  return Object.fromEntries(short) as Record<string, readonly string[]>
}

const mac = '02:00:00:00:00:01'
const two = ['10.6.0.9', '10.6.0.10', 'fd00::9', 'fd00::10']

void test('asksOf() gives each NIC what annotations, network selection and runtime ask for it', () => {
  assert.deepEqual(asked({}), {})
  assert.deepEqual(asked({ ips: ['10.6.0.9', 'fd00::9'], mac }), { eth0: ['10.6.0.9', 'fd00::9', mac] })
  assert.deepEqual(asked({ ips: { net1: ['10.6.0.9'] }, mac: { eth0: mac } }), {
    eth0: [mac],
    net1: ['10.6.0.9'],
  })
  assert.deepEqual(asked({ requests: { net1: { ips: ['10.6.0.9/16'], mac } } }), { net1: ['10.6.0.9', mac] })
  assert.deepEqual(asked({ nic: 'net1', runtimeIps: ['10.6.0.9'] }), { net1: ['10.6.0.9'] })
})

void test('asksOf() takes sources that say the same, whatever their order and case, and a prefix length beside none', () => {
  const both = {
    ips: ['FD00::9', '10.6.0.9'],
    mac: mac.toUpperCase(),
    requests: { eth0: { ips: ['10.6.0.9/16', 'fd00::9'], mac } },
    runtimeIps: ['10.6.0.9', 'fd00::9/64'],
  }
  assert.deepEqual(asked(both), { eth0: ['10.6.0.9', 'fd00::9', mac] })
})

void test('the list form is for the first NIC that gets addresses from here', () => {
  assert.deepEqual(asked({ ips: ['10.6.0.9'], nics: ['net1'], nic: 'net1' }), { net1: ['10.6.0.9'] })
  assert.deepEqual(asked({ ips: ['10.6.0.9'], nics: [], nic: 'eth0' }), { eth0: ['10.6.0.9'] })
  // Nobody knows the default network: when net1 asks first, eth0 is another's.
  const unknown = { ips: ['10.6.0.9'], knownNics: ['net1'], nic: 'net1' }
  assert.deepEqual(asked(unknown), { net1: ['10.6.0.9'] })
  assert.deepEqual(asked({ ...unknown, held: ['eth0'] }), { eth0: ['10.6.0.9'] })
  assert.deepEqual(asked({ ...unknown, nic: 'eth0' }), { eth0: ['10.6.0.9'] })
})

void test('a replica that keeps its address may have the item at its position of each family, any other the whole list', () => {
  assert.deepEqual(asked({ ips: two, position: 0 }), { eth0: ['10.6.0.9', 'fd00::9'] })
  assert.deepEqual(asked({ ips: two, position: 1 }), { eth0: ['10.6.0.10', 'fd00::10'] })
  assert.deepEqual(asked({ ips: two }), { eth0: two })
  assert.deepEqual(asked({ ips: ['10.6.0.9', 'fd00::9'], position: 5 }), { eth0: ['10.6.0.9', 'fd00::9'] })
  assert.deepEqual(asked({ ips: ['10.6.0.9', '10.6.0.10'], position: 1 }), { eth0: ['10.6.0.10'] })
})

const refused: readonly (readonly [Case, RegExp])[] = [
  [{ ips: two, position: 2 }, /2 IPv4 addresses.*none for the replica at position 2/],
  [{ ips: [...two, '10.6.0.11'], position: 2 }, /2 IPv6 addresses.*position 2/],
  [{ ips: { net5: ['10.6.0.9'] } }, /ipam\.spidernet\.io\/ips' "net5".*no interface/],
  [{ mac: { net5: mac } }, /ipam\.spidernet\.io\/mac' "net5".*no interface/],
  [
    { ips: ['10.6.0.9'], requests: { eth0: { ips: ['10.6.0.10'] } } },
    /ips of k8s\.v1\.cni\.cncf\.io\/networks for eth0, beside annotation ipam\.spidernet\.io\/ips,.*10\.6\.0\.10.*10\.6\.0\.9.*something else for eth0/,
  ],
  [{ ips: ['10.6.0.9'], runtimeIps: ['10.6.0.9', 'fd00::9'] }, /IP of CNI_ARGS, beside annotation/],
  [{ ips: ['10.6.0.9/16'], runtimeIps: ['10.6.0.9/24'] }, /IP of CNI_ARGS, beside annotation/],
  [
    { requests: { eth0: { ips: ['10.6.0.9'] } }, runtimeIps: ['10.6.0.8'] },
    /IP of CNI_ARGS, beside ips of k8s/,
  ],
  [
    { mac, requests: { eth0: { mac: '02:00:00:00:00:02' } } },
    /mac of k8s.*beside annotation ipam\.spidernet\.io\/mac/,
  ],
  [{ runtimeIps: ['10.6.0.9', '10.6.0.8'] }, /IP of CNI_ARGS.*several IPv4 addresses/],
  [{ requests: { net1: { ips: ['fd00::1', 'fd00::2'] } } }, /for net1.*several IPv6 addresses/],
]

void test('asksOf() refuses what disagrees, what no NIC can have, and what is not there, naming its places', () => {
  for (const [one, words] of refused) {
    assert.throws(
      () => asked(one),
      (error: unknown) => {
        assert.ok(error instanceof InvalidInputError)
        assert.match(error.message, words)
        assert.notEqual(error.hint, '')
        return true
      },
      JSON.stringify(one),
    )
  }
})
