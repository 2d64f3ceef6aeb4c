// Whom pools are for, through the whole way from the plugin to the ledger: namespaces that are confined to pools, pools of one
// application, and pools of the subnet behind an SR-IOV device. The rules themselves have their table in src/ledger/select.
import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { parseIp } from '../../src/address/index.ts'
import { annotationKeys, applicationKeys, labelKeys, type Pod, resources } from '../../src/api/index.ts'
import { openNetlink } from '../../src/netlink/index.ts'
import { IpamRig } from '../support/ipam-rig.ts'
import { eventually } from '../support/workload-kit.ts'

let rig: IpamRig
before(async () => {
  rig = await IpamRig.start(['node1'])
})
after(() => rig?.[Symbol.asyncDispose]())

void test('a confined namespace gets addresses from its pools alone, whoever names others', async () => {
  await rig.pool('tenant-a-1', { subnet: '10.1.0.0/16', ips: ['10.1.0.1'] })
  await rig.pool('tenant-b-1', { subnet: '10.2.0.0/16', ips: ['10.2.0.1-10.2.0.9'] })
  await rig.namespace('tenant-a', { [annotationKeys.namespaceConfinement]: '["tenant-a-*"]' })
  const both = { ippool: { ipv4: ['tenant-b-1', 'tenant-a-1'] }, namespace: 'tenant-a' }
  const first = await rig.add(await rig.pod('a1', both))
  assert.deepEqual(first.ips, ['10.1.0.1/16'], first.msg)
  const full = await rig.add(await rig.pod('a2', both))
  assert.equal(full.code, 100, 'its own pool is full, and the other one is not for it')
  const conf = await rig.pod('a3', { namespace: 'tenant-a' })
  const refused = await rig.add(conf, { ipam: { default_ipv4_ippool: ['tenant-b-*'] } })
  assert.equal(refused.code, 101)
  const words =
    'tenant-b-1: Namespace is confined to other IPPools: Namespace tenant-a may use [tenant-a-*] alone'
  assert(refused.msg.includes(words), refused.msg)
  assert.match(refused.details, /\(reason: namespace-confined\)$/)
  const event = await rig.eventOf('a3', /\(reason: namespace-confined\)/)
  assert(event.includes(words), event)
  await rig.countIs('tenant-b-1', 0)
})

void test('a confinement that cannot be read lets no pod of the namespace have an address', async () => {
  await rig.pool('unread', { subnet: '10.3.0.0/16', ips: ['10.3.0.1-10.3.0.9'] })
  await rig.namespace('walled', { [annotationKeys.namespaceConfinement]: '[unread]' })
  const refused = await rig.add(await rig.pod('w1', { ippool: { ipv4: ['unread'] }, namespace: 'walled' }))
  assert.equal(refused.code, 7)
  assert.match(refused.msg, /confined-to-ippools/)
  assert.match(refused.details, /\(reason: annotation-confined-to-ippools\)$/)
})

for (const [kind, resource, network] of [
  ['Deployment', resources.deployment, '10.4'],
  ['DaemonSet', resources.daemonSet, '10.7'],
] as const) {
  void test(`a pool of one ${kind} is for its pods, and for nobody with its labels`, async () => {
    const name = `web-${kind.toLowerCase()}`
    const pool = `auto4-${name}`
    const labels = { [labelKeys.ownerApplicationName]: name }
    const matchLabels = {
      [applicationKeys.group]: 'apps',
      [applicationKeys.version]: 'v1',
      [applicationKeys.kind]: kind,
      [applicationKeys.namespace]: 'default',
      [applicationKeys.name]: name,
    }
    const spec = { subnet: `${network}.0.0/16`, ips: [`${network}.0.1`], podAffinity: { matchLabels } }
    await rig.create(resources.ipPool, pool, { metadata: { labels }, spec })
    await rig.poolHolds(pool, ({ status }) => status?.totalIPCount !== undefined)
    const metadata = {
      labels: { app: name },
      annotations: { [annotationKeys.ippool]: JSON.stringify({ ipv4: [pool] }) },
    }
    const template = { metadata, spec: { nodeName: 'node1', containers: [{ name: 'c', image: 'pause' }] } }
    await rig.create(resource, name, { spec: { selector: { matchLabels: { app: name } }, template } })
    const own = await eventually(`${kind} ${name} has a pod`, async () => {
      const { items } = await rig.api.listAll<Pod>(resources.pod, {}, AbortSignal.timeout(5000))
      return items.find((pod) => pod.metadata.name.startsWith(`${name}-`))
    })
    const stranger = await rig.pod(`no-${name}`, { ippool: { ipv4: [pool] }, labels: matchLabels })
    const refused = await rig.add(stranger)
    assert.equal(refused.code, 101)
    const words = `unmatched Pod affinity: spec.podAffinity wants apps/v1 ${kind} default/${name}, the top owner`
    assert(refused.msg.includes(words), refused.msg)
    assert.match(refused.details, /application-mismatch/)
    const added = await rig.add(own)
    assert.deepEqual(added.ips, [`${network}.0.1/16`], added.msg)
  })
}

void test('match_master_subnet keeps to pools of the subnet behind the SR-IOV device', async () => {
  const { netns, sysfs } = rig.machine('node1')
  {
    using netlink = openNetlink(netns)
    netlink.addLink({ kind: 'bridge' }, { name: 'pf0', isUp: true })
    const linkIndex = netlink.getLink('pf0').index
    const address = { linkIndex, prefixBits: 24, scope: 0, flags: 0 }
    netlink.addAddress({ ...address, ip: parseIp('10.6.3.4') })
    netlink.addLink({ kind: 'bridge' }, { name: 'pf1', isUp: false })
  }
  const device = (id: string, ...links: readonly string[]) => {
    for (const link of links)
      mkdirSync(join(sysfs, 'bus/pci/devices', id, 'physfn/net', link), { recursive: true })
  }
  device('0000:03:02.1', 'pf0')
  device('0000:03:02.2', 'pf1')
  mkdirSync(join(sysfs, 'bus/pci/devices/0000:03:00.0/net/pf0'), { recursive: true })
  await rig.pool('sriov-a', {
    subnet: '10.5.0.0/16',
    ips: ['10.5.0.1-10.5.0.9'],
    multusName: ['macvlan-ens192'],
  })
  await rig.pool('sriov-b', { subnet: '10.6.0.0/16', ips: ['10.6.0.1-10.6.0.9'] })
  const ippool = { ipv4: ['sriov-a', 'sriov-b'] }
  const ipam = { match_master_subnet: true }
  const add = async (name: string, config: object, wanted = ippool) =>
    rig.add(await rig.pod(name, { ippool: wanted }), { ipam, config })

  const fits = await add('vf-1', { deviceID: '0000:03:02.1' })
  assert.deepEqual(fits.ips, ['10.6.0.1/16'], fits.msg)
  const chosen = await add('vf-2', { deviceID: '0000:03:02.2', runtimeConfig: { deviceID: '0000:03:02.1' } })
  assert.deepEqual(chosen.ips, ['10.6.0.2/16'], 'the device that the runtime chose counts')

  const refused = await add('vf-3', { deviceID: '0000:03:02.1' }, { ipv4: ['sriov-a'] })
  assert.equal(refused.code, 101)
  assert.match(
    refused.msg,
    /sriov-a: subnet 10\.5\.0\.0\/16 not found on pod's PF: the interface behind eth0 has \[/,
  )
  assert.match(refused.msg, /10\.6\.3\.4\/24/)
  assert.match(refused.details, /master-subnet-mismatch/)

  const problems: readonly (readonly [object, RegExp])[] = [
    [{}, /the CNI configuration has no deviceID/],
    [{ deviceID: '0000:03:02.2' }, /pf1, behind device 0000:03:02\.2, has no address/],
    [{ deviceID: '0000:03:00.0' }, /device 0000:03:00\.0 is no virtual function of this node/],
  ]
  for (const [index, [config, why]] of problems.entries()) {
    const outcome = await add(`vf-none-${index}`, config)
    assert.equal(outcome.code, 101)
    assert.match(outcome.msg, why)
  }
})
