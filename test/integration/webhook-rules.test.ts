// Each rule of admission on an API server: with the controller there, and with nobody at the other end of the webhooks.
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { parseAllDocuments } from 'yaml'
import { type EventObject, type KubeObject, resources, type SpiderIpPool } from '../../src/api/index.ts'
import { ruleCases } from '../support/webhook-cases/cases.ts'
import { each, type Outcome, outcomeOf, RuleCluster, until } from '../support/webhook-cases/cluster.ts'
import { failsClosed, numbered, type RuleCase } from '../support/webhook-cases/rule-case.ts'

const root = dirname(dirname(import.meta.dirname))
const never = new AbortController().signal
// The documents that are read below have networks in 10.6 and 10.7.
const firstNumber = 20

type Stage = 'up' | 'down'
interface Run {
  readonly stage: Stage
  readonly item: RuleCase
}
/** Cases on addresses have networks of their own, the others only names. */
let next = { network: firstNumber, name: firstNumber }
const runs = (['up', 'down'] as const).flatMap((stage) =>
  ruleCases.map((item): Run => {
    const isAddressed = /^[PSR]/.test(item.rule)
    const n = isAddressed ? next.network : next.name
    next = isAddressed ? { ...next, network: n + 1 } : { ...next, name: n + 1 }
    return { stage, item: numbered(item, n) }
  }),
)
assert(next.network < 256, 'there are more cases than networks 10.x')
const outcomes = new Map<Run, Outcome>()
const documents: { readonly stage: Stage; readonly what: string; readonly outcome: Outcome }[] = []
const laterOutcomes = new Map<string, Outcome>()

let cluster: RuleCluster
const act = (stage: Stage, without?: 'IPv6') => {
  const wanted = runs.filter((run) => run.stage === stage && run.item.without === without)
  return each(wanted, async (run) => void outcomes.set(run, await cluster.act(run.item)))
}

before(async () => {
  cluster = await RuleCluster.start()
  await cluster.startController(['--guard-deletion', '--pod-resource-inject'])
  await each(runs, ({ item }) => cluster.prepare(item))
  await prepareLater()
  await act('up')
  await applyDocuments('up')
  await cluster.stopController()
  await cluster.startController(['--disable-ipv6'])
  await act('up', 'IPv6')
  await cluster.stopController()
  await act('down')
  await act('down', 'IPv6')
  await applyDocuments('down')
  await actLater()
  await cluster.startController([])
})
after(() => cluster?.close())

const contains = (message: string, words: readonly string[]): void => {
  for (const word of words) assert(message.includes(word), `${word} is not in: ${message}`)
}

void suite('with the controller there', () => {
  for (const run of runs.filter(({ stage }) => stage === 'up')) {
    const { rule, what, refused } = run.item
    test(`${rule} ${refused === undefined ? 'accepts' : 'refuses'} ${what}`, () => {
      const outcome = outcomes.get(run)
      assert(outcome !== undefined)
      if (refused === undefined) return assert.equal(outcome.kind, 'accepted', JSON.stringify(outcome))
      assert(outcome.kind === 'refused', 'it was accepted')
      assert.equal(outcome.status, refused.code ?? 422)
      contains(outcome.message, refused.schema ?? refused.webhook ?? ['?'])
    })
  }

  test('a pod got the networks and resources that it asked for, beside those that it named', () => {
    const podOf = (what: string) => {
      const [, outcome] = [...outcomes].find(([run]) => run.stage === 'up' && run.item.what === what) ?? []
      assert(outcome?.kind === 'accepted')
      const object = outcome.object as KubeObject & {
        readonly spec: {
          readonly containers: readonly [{ readonly resources: { readonly limits: unknown } }]
        }
      }
      return {
        networks: object.metadata.annotations?.['k8s.v1.cni.cncf.io/networks'],
        limits: object.spec.containers[0].resources?.limits,
      }
    }
    const asked = podOf('a pod that asks for networks')
    assert.match(asked.networks ?? '', /^default\/m-\d+$/)
    assert.deepEqual(asked.limits, { 'acme.io/left': '1' })
    const more = podOf('a pod that asks for a network that can')
    assert.match(more.networks ?? '', /^kube-system\/net-a,default\/m-\d+$/)
    assert.equal(podOf('a pod that asks for nothing').networks, undefined)
  })
})

void suite('with nobody at the webhooks', () => {
  for (const run of runs.filter(({ stage }) => stage === 'down')) {
    const { item } = run
    const { rule, what, refused } = item
    const isClosed = failsClosed(item)
    const held = refused?.schema !== undefined
    const verb = held ? 'refuses' : isClosed ? 'cannot check, and refuses' : 'accepts'
    test(`${rule} ${verb} ${what}`, () => {
      const outcome = outcomes.get(run)
      assert(outcome !== undefined)
      if (!held && !isClosed) return assert.equal(outcome.kind, 'accepted', JSON.stringify(outcome))
      assert(outcome.kind === 'refused', 'it was accepted')
      if (held) return contains(outcome.message, refused.schema ?? [])
      contains(outcome.message, ['failed calling webhook'])
    })
  }

  for (const what of [
    'a finalizer is taken away',
    'a label is written',
    'a status is written',
    'a pool is deleted',
  ]) {
    test(`${what}`, () => {
      const outcome = laterOutcomes.get(what)
      assert.equal(outcome?.kind, 'accepted', JSON.stringify(outcome))
    })
  }
})

void test('every object of the public documents and of the fixtures is accepted, with webhooks and without', () => {
  assert(documents.length >= 50, `${documents.length} documents`)
  for (const { what, stage, outcome } of documents)
    assert.equal(outcome.kind, 'accepted', `${what} (${stage}): ${JSON.stringify(outcome)}`)
})

/** Of a case while nobody was there: its object. */
function objectOf(rule: string, what: string): { readonly name: string; readonly ips: readonly string[] } {
  const run = runs.find(({ stage, item }) => stage === 'down' && item.rule === rule && item.what === what)
  const { name = '', spec } = run?.item.object ?? {}
  return { name, ips: (spec as { readonly ips?: readonly string[] } | undefined)?.ips ?? [] }
}

void suite('when the controller is back', () => {
  const read = async (name: string) => {
    const found = await cluster.api.get<SpiderIpPool>(resources.ipPool, { name }, never)
    assert(found !== undefined)
    return found
  }

  const eventsOf = async (name: string): Promise<readonly string[]> => {
    const { items } = await cluster.api.listAll<EventObject>(resources.event, {}, never)
    return items.filter(({ involvedObject }) => involvedObject.name === name).map(({ reason }) => reason)
  }

  test('a pool that was stored meanwhile gets its finalizer, family and label', async () => {
    const { name } = objectOf('P-01', 'a subnet, from which the family is read')
    await until('the pool is mended', async () => (await read(name)).metadata.finalizers !== undefined)
    const { metadata, spec } = await read(name)
    assert.deepEqual(metadata.finalizers, ['spiderpool.spidernet.io'])
    assert.equal(spec.ipVersion, 4)
    assert.match(metadata.labels?.['ipam.spidernet.io/ippool-cidr'] ?? '', /^10-\d+-0-0-16$/)
  })

  test('a pool that took addresses of another meanwhile says so in its status, and in an Event', async () => {
    const { name } = objectOf('P-09', 'addresses of another pool')
    const conditionsOf = async () => (await read(name)).status?.conditions ?? []
    await until('the overlap is told', async () => (await conditionsOf()).length > 0)
    const [condition] = await conditionsOf()
    assert.equal(condition?.type, 'Accepted')
    assert.equal(condition?.status, 'False')
    assert.match(
      condition?.message ?? '',
      /10\.\d+\.1\.5-10\.\d+\.1\.9 belong to SpiderIPPool "q-\d+", which is older.*take them out/,
    )
    await until('the Event', async () => (await eventsOf(name)).includes('PoolOverlaps'))
  })

  test('a reservation that cannot be read says so in an Event', async () => {
    const { name } = objectOf('R-03', 'a range that runs backwards')
    await until('the Event', async () => (await eventsOf(name)).includes('ReservationUnreadable'))
  })

  test('a pool with a range that runs backwards offers nothing, and says so', async () => {
    const { name, ips } = objectOf('P-08', 'a range that runs backwards')
    const messageOf = async () => (await read(name)).status?.conditions?.[0]?.message ?? ''
    await until('the range is told', async () => (await messageOf()) !== '')
    assert((await messageOf()).includes(ips[0] ?? '?'))
    assert.match(await messageOf(), /spec\.ips.*runs backwards/)
    assert.equal((await read(name)).status?.totalIPCount, 0)
  })

  const path = '/validate-spiderpool-spidernet-io-v2beta1-spiderippool'
  const review = (request: unknown) =>
    JSON.stringify({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', request })
  const bad: readonly (readonly [string, string, string | Buffer, number, RegExp])[] = [
    ['no JSON', path, '{', 400, /send JSON/],
    ['no review', path, '{"kind":"Pod"}', 200, /"code":400.*no AdmissionReview.*send an AdmissionReview/],
    ['no request', path, review(null), 200, /"code":400.*request\.uid or request\.kind\.kind is missing/],
    [
      'a kind without rules',
      path,
      review({ uid: 'u', kind: { kind: 'Secret' }, operation: 'CREATE', object: {} }),
      200,
      /"uid":"u".*"code":400.*kind \\"Secret\\" has no rules here: send one of/,
    ],
    ['a path that is none', '/validate-x', review(null), 404, /./],
    ['bytes that are no text', path, Buffer.from([0xff, 0xfe, 0x00]), 400, /send JSON/],
  ]
  for (const [what, at, body, status, words] of bad) {
    test(`an AdmissionReview that is ${what} is answered with what is wrong`, async () => {
      const reply = await cluster.post(at, body)
      assert.equal(reply.status, status, reply.text)
      assert.match(reply.text, words)
    })
  }

  test('a body of 10 MB is refused, and the next review is answered', async () => {
    const { status } = await cluster.post(path, Buffer.alloc(10_000_000, 0x20))
    assert(status === 413 || status === 0, `${status}`)
    assert.equal((await cluster.post(path, '{')).status, 400)
  })

  test('of two subnets that are made at once and overlap, at most one is without an Event', async () => {
    const names = ['twin-c', 'twin-d']
    const made = await Promise.all(
      names.map((name) => cluster.create({ kind: 'SpiderSubnet', name, spec: { subnet: '10.10.0.0/16' } })),
    )
    if (made.some(({ kind }) => kind === 'refused')) return
    await until('one of them is told', async () => {
      const told = await Promise.all(names.map(eventsOf))
      return told.filter((reasons) => reasons.includes('SubnetOverlaps')).length === 1
    })
  })

  test('of two pools that are made at once and overlap, at most one offers the addresses', async () => {
    const spec = { subnet: '10.9.0.0/16', ips: ['10.9.1.1-10.9.1.9'] }
    const made = await Promise.all(
      ['twin-a', 'twin-b'].map((name) => cluster.create({ kind: 'SpiderIPPool', name, spec })),
    )
    if (made.some(({ kind }) => kind === 'refused')) return
    const told = async (name: string) => (await read(name)).status?.conditions?.[0]?.reason === 'Overlap'
    await until('one of them is told', async () => (await told('twin-a')) !== (await told('twin-b')))
  })
})

/** Writes of ours and of other parties, which must not wait for us. */
async function prepareLater(): Promise<void> {
  for (const name of ['later', 'later-deleted']) {
    const spec = { subnet: '10.8.0.0/16', ips: [`10.8.${name.length}.1`] }
    const metadata = { name, finalizers: ['example.com/hold'] }
    const object = { apiVersion: 'spiderpool.spidernet.io/v2beta1', kind: 'SpiderIPPool', metadata, spec }
    await cluster.api.create(resources.ipPool, object as KubeObject, never)
  }
  await cluster.api.delete(resources.ipPool, { name: 'later-deleted' }, {}, never)
}

async function actLater(): Promise<void> {
  const patch = (name: string, body: unknown, subresource?: string) =>
    outcomeOf(() => {
      const how = { type: 'merge' as const, body, ...(subresource === undefined ? {} : { subresource }) }
      return cluster.api.patch(resources.ipPool, { name }, how, never)
    })
  const write = (what: string, outcome: Outcome) => laterOutcomes.set(what, outcome)
  write('a finalizer is taken away', await patch('later-deleted', { metadata: { finalizers: null } }))
  write('a label is written', await patch('later', { metadata: { labels: { a: 'b' } } }))
  write('a status is written', await patch('later', { status: { allocatedIPCount: 0 } }, 'status'))
  write(
    'a pool is deleted',
    await outcomeOf(() => cluster.api.delete(resources.ipPool, { name: 'later' }, {}, never)),
  )
}

/** Creates each document, and deletes it again: the documents name some pools twice. */
async function applyDocuments(stage: Stage): Promise<void> {
  const files = globSync(['docs/examples/affinity/*.yaml', 'fixtures/**/*.yaml'], { cwd: root }).sort()
  for (const file of files) {
    for (const document of parseAllDocuments(readFileSync(join(root, file), 'utf8'))) {
      const object = document.toJSON() as KubeObject | null
      if (object === null) continue
      const what = `${file}: ${object.kind} ${object.metadata.name}`
      const outcome = await createAndDelete(object)
      if (outcome !== undefined) documents.push({ stage, what, outcome })
    }
  }
}

async function createAndDelete(object: KubeObject): Promise<Outcome | undefined> {
  const { api } = cluster
  const resource = Object.values(resources).find(({ kind }) => kind === object.kind)
  // Kinds that Spiderpool has nothing to do with, and that the lab's API server does not have.
  if (resource === undefined) return undefined
  const { namespace = 'default', resourceVersion: _, uid: __, ...metadata } = object.metadata
  const place = resource.namespaced ? { namespace } : {}
  if (resource.namespaced) {
    const space = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } }
    await outcomeOf(() => api.create(resources.namespace, space, never))
  }
  const outcome = await outcomeOf(() =>
    api.create(resource, { ...object, metadata: { ...metadata, ...place } }, never),
  )
  const ref = { name: metadata.name, ...place }
  await api.delete(resource, ref, {}, never)
  const finalizers = { type: 'merge' as const, body: { metadata: { finalizers: null } } }
  await until(`${object.kind} ${ref.name} is gone`, async () => {
    const found = await api.get(resource, ref, never)
    if (found?.metadata.finalizers !== undefined)
      await outcomeOf(() => api.patch(resource, ref, finalizers, never))
    return found === undefined
  })
  return outcome
}
