// Seeded faults of the two annotations that select networks: each is answered by annotation, value and remedy; nothing is
// attached, and a good pod succeeds after it.
import assert from 'node:assert/strict'
import test from 'node:test'
import { Seeded } from '../simulation/seeded.ts'
import { AgentKit, PathNamespaces } from '../support/agent-kit.ts'
import { journalNames } from '../support/journal-names.ts'
import { until } from '../support/scripted-api.ts'

const networks = 'k8s.v1.cni.cncf.io/networks'
const defaultNetwork = 'v1.multus-cni.io/default-network'
const seed = 7_301_977
const rounds = 3

const seeded = new Seeded(seed)
const random = (): number => seeded.next()
const word = (length = 6) =>
  Array.from({ length }, () => String.fromCharCode(97 + Math.floor(random() * 26))).join('')
const element = (more: object) => JSON.stringify([{ name: 'mv', ...more }])

type Fault = readonly [annotation: string, text: string, named: string]
const inNetworks = (text: string, named = text): Fault => [networks, text, named]

const kinds: readonly (() => Fault)[] = [
  () => inNetworks(`${word()},,mv`, `${networks}[1]`),
  () => inNetworks(`mv,`, `${networks}[1]`),
  () => inNetworks(`${word()}/${word()}/${word()}`),
  () => inNetworks(`mv@${word()}@${word()}`),
  () => inNetworks(`mv@${word(16)}`, `${networks}[0]`),
  () => inNetworks(`mv@${word(3)}/${word(3)}`, `${networks}[0]`),
  () => inNetworks(`mv@${word(3)} ${word(3)}`, `${networks}[0]`),
  () => inNetworks(word().toUpperCase()),
  () => inNetworks(`${word()}_${word()}`),
  () => inNetworks(`${word()}-/mv`),
  () => inNetworks(`-${word()}`),
  () => inNetworks(`mv@eth0`, 'eth0'),
  () => inNetworks(`mv@net2,mv`, 'net2'),
  () => inNetworks(`missing-${word()}`),
  () => inNetworks(`other/missing-${word()}`),
  () => inNetworks(`[{"name":"${word()}"`, 'is not JSON'),
  () => inNetworks(`{"name":"${word()}"}`, 'is not a list'),
  () => inNetworks(`["${word()}"]`, `${networks}[0]`),
  () => inNetworks(`[{"name":${Math.floor(random() * 1e6)}}]`, `${networks}[0].name`),
  () => inNetworks(element({ namespace: `${word()}.${word()}` }), `${networks}[0].namespace`),
  () => inNetworks(element({ interface: word(17) }), `${networks}[0].interface`),
  () => inNetworks(element({ mac: `03:00:00:00:00:0${Math.floor(random() * 10)}` }), '[0].mac "03:'),
  () => inNetworks(element({ mac: word() }), `${networks}[0].mac`),
  () => inNetworks(element({ mac: '02:00:00:00:00:05' }), '.mac "02:00:00:00:00:05"'),
  () => inNetworks(element({ ips: word() }), `${networks}[0].ips`),
  () => inNetworks(element({ ips: [`10.0.0.${256 + Math.floor(random() * 100)}`] }), `${networks}[0].ips[0]`),
  () => inNetworks(element({ ips: [`10.0.0.1/${33 + Math.floor(random() * 60)}`] }), `${networks}[0].ips[0]`),
  () => inNetworks(element({ 'default-route': word() }), `${networks}[0].default-route`),
  () => inNetworks(element({ 'default-route': ['10.0.0.1', '10.0.0.2'] }), `${networks}[0].default-route[1]`),
  () => inNetworks(element({ 'infiniband-guid': word() }), `${networks}[0].infiniband-guid`),
  () => inNetworks(element({ portMappings: [{ hostPort: 70_000 }] }), 'portMappings[0].hostPort 70000'),
  () => inNetworks(element({ bandwidth: { ingressRate: 5 } }), 'bandwidth.ingressRate'),
  () => inNetworks(element({ 'cni-args': word() }), `${networks}[0].cni-args`),
  () => inNetworks(element({ 'ipam-claim-reference': `${word()}/x` }), `${networks}[0].ipam-claim-reference`),
  () => [defaultNetwork, `${word()},${word()}`, 'more than one network'],
  () => [defaultNetwork, `missing-${word()}`, 'missing-'],
  () => [defaultNetwork, `${word()}/${word()}/${word()}`, defaultNetwork],
  () => [defaultNetwork, '[]', 'names no network'],
  () => [defaultNetwork, '{}', defaultNetwork],
]

void test(`${kinds.length * rounds} bad annotations (seed ${seed}) are answered by annotation, value and remedy`, async () => {
  assert.ok(kinds.length * rounds >= 100)
  await using kit = await AgentKit.start({ namespaces: new PathNamespaces() })
  // Our IPAM is a whole network by itself here: it needs no main plugin.
  for (const [namespace, name] of [
    ['kube-system', 'base'],
    ['default', 'mv'],
  ]) {
    const config = JSON.stringify({
      cniVersion: '1.0.0',
      name,
      type: 'spiderpool',
      ipam: { type: 'spiderpool' },
    })
    kit.kube.put('network-attachment-definitions', {
      metadata: { namespace, name },
      spec: { config },
    } as never)
  }
  const meta = { cniVersion: '1.1.0', name: 'spiderpool', type: 'spiderpool-meta' }
  const put = (annotations: Record<string, string>) => {
    kit.kube.put('pods', { metadata: { name: 'web-1', namespace: 'default', uid: 'uid-web-1', annotations } })
  }
  for (let round = 0; round < rounds; round++)
    for (const make of kinds) {
      const [annotation, text, named] = make()
      put({ [annotation]: text })
      const refused = await kit.call('spiderpool-meta', 'ADD', meta)
      const said = `${annotation}=${text}: ${refused.stdout}`
      assert.equal(refused.exitCode, 1, said)
      assert.ok(String(refused.json['msg']).includes(named), said)
      assert.match(String(refused.json['details']), /^[a-z-]+: \S.{5,}/, said)
      assert.equal(kit.allocator.held.size, 0, said)
      put({ [networks]: 'mv' })
      const good = await kit.call('spiderpool-meta', 'ADD', meta)
      assert.equal(good.exitCode, 0, `after ${said}: ${good.stdout}`)
      assert.equal((await kit.call('spiderpool-meta', 'DEL', meta)).exitCode, 0)
    }
  await until(() => journalNames(kit.options.journalDir).length === 0, 'an empty journal')
})
