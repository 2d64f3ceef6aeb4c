import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { ClusterKit } from '../../../test/support/cluster-kit.ts'
import { type KubeObject, resources, trustNames } from '../../api/index.ts'
import { type Clock, silentLogger, systemClock } from '../../base/index.ts'
import type { EventRecorder } from '../../kube/index.ts'
import { readFacts } from './certificate-facts.ts'
import { textsOf } from './certificate-secret.ts'
import { publishAuthorities } from './keep-trust.ts'
import { openSelfManaged } from './self-managed.ts'

const never = new AbortController().signal
const ref = { namespace: 'kube-system', name: 'certificates' }
const policy = { caSeconds: 3600, certSeconds: 600, overlapSeconds: 60, names: ['a.svc', '127.0.0.1'] }
let kit: ClusterKit
before(async () => {
  kit = await ClusterKit.start()
})
after(() => kit[Symbol.asyncDispose]())

function replica() {
  const time = { aheadMs: 0 }
  const clock: Clock = { ...systemClock, nowMs: () => Date.now() + time.aheadMs }
  const told: string[] = []
  const events: EventRecorder = {
    event: (_subject, _type, reason, message) => told.push(`${reason}: ${message}`),
    close: () => Promise.resolve(),
  }
  const options = { api: kit.api, secret: ref, policy, clock, logger: silentLogger, events }
  return { time, told, open: () => openSelfManaged(options, never) }
}

async function stored() {
  const secret = await kit.api.get(resources.secret, ref, never)
  assert.ok(secret !== undefined)
  return textsOf(secret)
}
const damage = (data: object) =>
  kit.api.patch(resources.secret, ref, { type: 'merge', body: { data } }, never)
const base64 = (text: string) => Buffer.from(text).toString('base64')
const remove = () => kit.api.delete(resources.secret, ref, {}, never)

void test('replicas that start together serve by one Secret', async () => {
  const sources = await Promise.all([replica().open(), replica().open(), replica().open()])
  const { cert } = await stored()
  assert.ok(sources.every((source) => source.current.cert === cert))
  assert.deepEqual(readFacts(await stored()).faults, [])
  await remove()
})

void test('the leader renews in time, hands over to a new authority with overlap, and drops the old one', async () => {
  const { open, time } = replica()
  const source = await open()
  const first = source.current
  assert.ok((await source.tend(never)) > 0)
  time.aheadMs = 410_000
  await source.tend(never)
  assert.notEqual(source.current.cert, first.cert)
  assert.equal(source.current.caBundle, first.caBundle, 'the same authority')
  time.aheadMs = 2_410_000
  // The serving certificate is over by now, the authority is in its last third.
  await source.tend(never)
  const next = readFacts(await stored())
  assert.deepEqual([next.authorities.length, next.signer, next.serving?.issuer], [2, 0, 0])
  await remove()
})

void test('a new authority is not used before it was told of', async () => {
  const { open, time } = replica()
  const source = await open()
  await damage({ 'ca.key': base64('lost') })
  await source.tend(never)
  const { cert } = source.current
  const bundle = source.current.caBundle
  assert.equal(readFacts(await stored()).authorities.length, 2)
  time.aheadMs = 100_000
  await source.tend(never)
  assert.equal(source.current.cert, cert, 'nobody was told')
  await source.published(bundle, never)
  await source.tend(never)
  assert.equal(source.current.cert, cert, 'told a moment ago')
  time.aheadMs = 170_000
  await source.tend(never)
  assert.notEqual(source.current.cert, cert)
  assert.equal(source.current.caBundle, bundle)
  await remove()
})

const broken: readonly (readonly [string, object])[] = [
  [
    'no PEM',
    { 'ca.crt': base64('x'), 'ca.key': base64('x'), 'tls.crt': base64('x'), 'tls.key': base64('x') },
  ],
  ['no base64 that makes sense', { 'tls.crt': 'AAAA' }],
  ['nothing at all', { 'ca.crt': null, 'ca.key': null, 'tls.crt': null, 'tls.key': null }],
  ['a lost serving key', { 'tls.key': null }],
]
for (const [what, data] of broken) {
  void test(`a Secret with ${what} is mended by the leader and told of; replicas start all the same`, async () => {
    const { open, told } = replica()
    await open()
    await damage(data)
    const source = await open()
    assert.notEqual(source.current.cert, '')
    await source.tend(never)
    const texts = await stored()
    const facts = readFacts(texts)
    assert.deepEqual(facts.faults, [])
    assert.equal(facts.serving?.issuer, facts.signer)
    assert.equal(source.current.cert, texts.cert)
    if (what !== 'nothing at all') assert.match(told.join(), /CertificatesRepaired: .*made anew/)
    await remove()
  })
}

void test('a Secret that somebody deleted is made again, and the old authority stays trusted', async () => {
  const source = await replica().open()
  const { caBundle } = source.current
  await remove()
  await source.tend(never)
  assert.ok(source.current.caBundle.endsWith(caBundle))
  assert.equal((await stored()).cert, source.current.cert)
  await remove()
})

void test('publishAuthorities() writes the bundle for agents, and mends it', async () => {
  const name = { namespace: 'kube-system', name: trustNames.authorities }
  const read = async () => {
    const found = await kit.api.get<KubeObject & { data?: Record<string, string> }>(
      resources.configMap,
      name,
      never,
    )
    return found?.data?.[trustNames.authoritiesKey]
  }
  await Promise.all([1, 2].map(() => publishAuthorities(kit.api, name, 'one', never)))
  assert.equal(await read(), 'one')
  await publishAuthorities(kit.api, name, 'two', never)
  assert.equal(await read(), 'two')
})
