// Seeded bad objects of every kind, with a controller there: schema, CEL and webhooks refuse each with field, value and remedy, nothing
// is stored, the controller lives on, and a good object of the kind is taken after each. Then the same without webhooks: CEL and schema hold.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  type KubeObject,
  type Resource,
  resources,
  webhookConfigurationName,
  webhookConfigurationResources,
} from '../../src/api/index.ts'
import { ApiError } from '../../src/kube/index.ts'
import { Seeded } from '../simulation/seeded.ts'
import { RuleCluster } from '../support/webhook-cases/cluster.ts'

const seed = Number(process.env['SPIDERPOOL_TEST_SEED'] ?? 20_261_121)
const rounds = 4
const signal = AbortSignal.timeout(300_000)

const seeded = new Seeded(seed)
const random = (): number => seeded.next()
const integer = (least: number, most: number) => least + Math.floor(random() * (most - least + 1))
const word = (length = 6) => Array.from({ length }, () => String.fromCharCode(97 + integer(0, 25))).join('')

interface Fault {
  readonly kind: string
  readonly resource: Resource
  readonly spec: Readonly<Record<string, unknown>>
  /** What the refusal has to name: the field and the value; of a wrong type, the type found (Kubernetes' own words). */
  readonly names: readonly string[]
  /** Holds without webhooks too. */
  readonly isStatic: boolean
}

const { ipPool, subnet, reservedIp, multusConfig, coordinator, ipBlock } = resources
const pool = (kind: string, more: object, names: readonly string[], isStatic = true): Fault => ({
  kind: `pool: ${kind}`,
  resource: ipPool,
  spec: { subnet: '10.6.0.0/16', ips: ['10.6.200.1-10.6.200.9'], ...more },
  names,
  isStatic,
})
const other = (kind: string, resource: Resource, spec: Fault['spec'], names: readonly string[]): Fault => ({
  kind: `${resource.kind}: ${kind}`,
  resource,
  spec,
  names,
  isStatic: true,
})
const macvlan = (block: object) => ({ cniType: 'macvlan', enableCoordinator: false, macvlan: block })
const coordinating = (more: object) => ({ podCIDRType: 'none', ...more })

/** Each makes a new fault of its kind. */
const faults: readonly (() => Fault)[] = [
  () => pool('no subnet', { subnet: undefined }, ['spec.subnet']),
  () => {
    const text = word()
    return pool('subnet is no CIDR', { subnet: text }, ['spec.subnet', text])
  },
  () => {
    const bits = integer(33, 99)
    return pool('prefix too long', { subnet: `10.6.0.0/${bits}` }, ['spec.subnet', `10.6.0.0/${bits}`])
  },
  () => {
    const text = `10.6.${integer(1, 250)}.1/16`
    return pool('host bits', { subnet: text }, ['spec.subnet', text])
  },
  () => {
    const value = integer(5, 99)
    return pool('family', { ipVersion: value }, ['spec.ipVersion', String(value)])
  },
  () => pool('family of other', { ipVersion: 6 }, ['ipVersion', '6']),
  () => {
    const text = word()
    return pool('ips is text', { ips: text }, ['spec.ips', 'string'])
  },
  () => {
    const text = word()
    return pool('range is a word', { ips: [text] }, ['spec.ips', text])
  },
  () => {
    const text = `10.6.1.${integer(256, 999)}`
    return pool('octet', { ips: [text] }, ['spec.ips', text])
  },
  () => {
    const text = `10.6.1.${integer(1, 9)}/24`
    return pool('CIDR as range', { ips: [text] }, ['spec.ips', text])
  },
  () => {
    const text = `10.6.1.1-10.6.1.5-10.6.1.${integer(6, 9)}`
    return pool('two dashes', { ips: [text] }, ['spec.ips', text])
  },
  () => {
    const text = `10.${integer(7, 99)}.1.1`
    return pool('outside the subnet', { ips: [text] }, ['spec.ips', text])
  },
  () => {
    const text = `fd00::${integer(1, 9)}`
    return pool('other family in ips', { ips: [text] }, ['spec.ips', text])
  },
  () => {
    const text = `10.6.9.${integer(20, 99)}-10.6.9.${integer(1, 19)}`
    return pool('backwards', { ips: [text] }, ['spec.ips', text], false)
  },
  () => {
    const text = word()
    return pool('excluded word', { excludeIPs: [text] }, ['spec.excludeIPs', text])
  },
  () => {
    const text = word()
    return pool('gateway word', { gateway: text }, ['spec.gateway', text])
  },
  () => {
    const text = `10.7.0.${integer(1, 99)}`
    return pool('gateway outside', { gateway: text }, ['spec.gateway', text])
  },
  () => pool('gateway in ips', { gateway: '10.6.200.5' }, ['10.6.200.5'], false),
  () =>
    pool('default route', { routes: [{ dst: '0.0.0.0/0', gw: '10.6.0.1' }] }, ['spec.routes', '0.0.0.0/0']),
  () => {
    const text = word()
    return pool('route word', { routes: [{ dst: text, gw: '10.6.0.1' }] }, ['spec.routes', text])
  },
  () => {
    const text = `10.${integer(7, 99)}.0.1`
    return pool('next hop outside', { routes: [{ dst: '10.99.0.0/16', gw: text }] }, ['spec.routes', text])
  },
  () => pool('route without gw', { routes: [{ dst: '10.99.0.0/16' }] }, ['spec.routes[0].gw']),
  () => pool('empty affinity', { podAffinity: {} }, ['spec.podAffinity']),
  () => {
    const text = `${word()} ${word()}`
    return pool(
      'label value',
      { podAffinity: { matchLabels: { app: text } } },
      ['spec.podAffinity', text],
      false,
    )
  },
  () => {
    const text = word()
    return pool('disable is text', { disable: text }, ['spec.disable', 'string'])
  },
  () => {
    const text = word()
    return other('subnet word', subnet, { subnet: text }, ['spec.subnet', text])
  },
  () => {
    const text = `10.8.${integer(1, 250)}.1/16`
    return other('host bits', subnet, { subnet: text }, ['spec.subnet', text])
  },
  () => {
    const text = word()
    return other('word', reservedIp, { ips: [text] }, ['spec.ips', text])
  },
  () => {
    const text = `10.6.0.1/${integer(8, 30)}`
    return other('CIDR', reservedIp, { ips: [text] }, ['spec.ips', text])
  },
  () => {
    const text = word()
    return other('type', multusConfig, { cniType: text }, ['spec.cniType', text])
  },
  () => {
    const value = integer(4095, 9999)
    return other('VLAN', multusConfig, macvlan({ master: ['ens192'], vlanID: value }), [
      'spec.macvlan.vlanID',
      String(value),
    ])
  },
  () => {
    const value = -integer(1, 99)
    return other('mtu', multusConfig, macvlan({ master: ['ens192'], mtu: value }), [
      'spec.macvlan.mtu',
      String(value),
    ])
  },
  () => {
    const text = word()
    return other('mode', coordinator, coordinating({ mode: text }), ['spec.mode', text])
  },
  () => {
    const text = word()
    return other('podCIDRType', coordinator, { podCIDRType: text }, ['spec.podCIDRType', text])
  },
  () => {
    const text = word()
    return other('hijack', coordinator, coordinating({ hijackCIDR: [text] }), ['spec.hijackCIDR', text])
  },
  () => {
    const text = word()
    return other('MAC prefix', coordinator, coordinating({ podMACPrefix: text }), ['spec.podMACPrefix', text])
  },
  () => {
    const value = -integer(1, 99)
    return other('veth MTU', coordinator, coordinating({ vethMTU: value }), ['spec.vethMTU', String(value)])
  },
  () => {
    const text = word()
    return other('cidr', ipBlock, { cidr: text, term: 1 }, ['spec.cidr', text])
  },
  () => {
    const text = word()
    return other('term', ipBlock, { cidr: '10.6.0.0/26', term: text }, ['spec.term', 'string'])
  },
]

const good = new Map<Resource, () => Fault['spec']>([
  [ipPool, () => ({ subnet: '10.6.0.0/16', ips: ['10.6.201.1-10.6.201.9'] })],
  [subnet, () => ({ subnet: '10.9.0.0/16', ips: ['10.9.0.1-10.9.0.9'] })],
  [reservedIp, () => ({ ips: ['10.6.202.1'] })],
  [multusConfig, () => macvlan({ master: ['ens192'] })],
  [coordinator, () => coordinating({})],
  [ipBlock, () => ({ cidr: '10.6.202.0/26', term: 1 })],
])
/** Words by which a refusal says what to do instead. */
const remedy =
  /\b(must|should|write|give|use|remove|supported|choose|name|drop|leave|required|set|change|add|put)\b/i

let cluster: RuleCluster
before(async () => {
  cluster = await RuleCluster.start()
  await cluster.startController([])
})
after(() => cluster?.close())

function objectOf(resource: Resource, name: string, spec: Fault['spec']): KubeObject {
  const apiVersion = `${resource.group}/${resource.version}`
  const metadata = { name, ...(resource.namespaced ? { namespace: 'default' } : {}) }
  return { apiVersion, kind: resource.kind, metadata, spec } as KubeObject
}

/** What is wrong with the answer to a bad object; undefined when it is refused as it should be. */
async function complaintAbout(fault: Fault, name: string): Promise<string | undefined> {
  try {
    await cluster.api.create(fault.resource, objectOf(fault.resource, name, fault.spec), signal)
  } catch (error) {
    assert.ok(error instanceof ApiError, String(error))
    const missing = fault.names.filter((part) => !error.message.includes(part))
    if (missing.length > 0) return `${fault.kind} does not name ${missing.join()}: ${error.message}`
    if (!remedy.test(error.message)) return `${fault.kind} does not say what to do: ${error.message}`
    return error.status >= 400 && error.status < 500 ? undefined : `${fault.kind}: ${error.message}`
  }
  return `${fault.kind} was accepted: ${JSON.stringify(fault.spec)}`
}

async function assertTakesGood(resource: Resource, name: string): Promise<void> {
  const spec = good.get(resource)?.() ?? {}
  const { metadata } = await cluster.api.create(resource, objectOf(resource, name, spec), signal)
  const { namespace } = metadata
  const ref = { name, ...(namespace === undefined ? {} : { namespace }) }
  await cluster.api.delete(resource, ref, {}, signal)
  // The finalizer goes once the controller has seen that nothing is held.
  const body = { metadata: { finalizers: null } }
  await cluster.api.patch(resource, ref, { type: 'merge', body }, signal).catch((error: unknown) => {
    if (!(error instanceof ApiError) || error.status !== 404) throw error
  })
}

void test(`${faults.length * rounds} bad objects of ${faults.length} kinds of fault (seed ${seed}) are refused by field, value and remedy`, async () => {
  const complaints: string[] = []
  for (let round = 0; round < rounds; round++) {
    for (const [index, make] of faults.entries()) {
      const fault = make()
      const complaint = await complaintAbout(fault, `bad-${round}-${index}`)
      if (complaint !== undefined) complaints.push(complaint)
      await assertTakesGood(fault.resource, `good-${round}-${index}`)
    }
  }
  assert.deepEqual(complaints, [])
})

void test('with the webhooks gone, schema and CEL refuse what they can say by themselves', async () => {
  await cluster.stopController()
  for (const resource of webhookConfigurationResources)
    await cluster.api.delete(resource, { name: webhookConfigurationName }, {}, signal)
  const complaints: string[] = []
  for (const [index, make] of faults.entries()) {
    const fault = make()
    if (!fault.isStatic) continue
    const complaint = await complaintAbout(fault, `static-${index}`)
    if (complaint !== undefined) complaints.push(complaint)
  }
  assert.deepEqual(complaints, [])
})
