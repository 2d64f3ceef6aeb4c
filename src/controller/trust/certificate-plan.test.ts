import assert from 'node:assert/strict'
import test from 'node:test'
import { backdateMs } from '../../rpc/index.ts'
import type { CertificateFacts, Serving } from './certificate-facts.ts'
import { type CertificatePlan, planCertificates } from './certificate-plan.ts'

const second = 1000
const policy = { caSeconds: 9000, certSeconds: 900, overlapSeconds: 100, names: ['a.svc', '127.0.0.1'] }
const startMs = 1_800_000_000_000
const authority = (fromMs: number, subject = 'ca') => ({
  pem: `${subject}\n`,
  subject,
  startMs: fromMs - backdateMs,
  endMs: fromMs + policy.caSeconds * second,
})
const serving = (issuer: number, fromMs: number, more: Partial<Serving> = {}): Serving => ({
  issuer,
  startMs: fromMs - backdateMs,
  endMs: fromMs + policy.certSeconds * second,
  names: policy.names,
  ...more,
})
const good: CertificateFacts = {
  authorities: [authority(startMs)],
  signer: 0,
  serving: serving(0, startMs),
  faults: [],
}
const bundleHash = 'now'
const planAt = (
  seconds: number,
  facts: Partial<CertificateFacts> = {},
  publishedSeconds?: number,
): CertificatePlan => {
  const published =
    publishedSeconds === undefined
      ? undefined
      : { hash: bundleHash, atMs: startMs + publishedSeconds * second }
  return planCertificates({ ...good, ...facts }, policy, {
    nowMs: startMs + seconds * second,
    bundleHash,
    published,
  })
}

void test('a fresh set is kept until the last third of the serving certificate', () => {
  assert.deepEqual(planAt(1), { kind: 'keep', nextMs: startMs + 600 * second })
  assert.equal(planAt(599).kind, 'keep')
  const due = planAt(600)
  assert.deepEqual([due.kind, due.kind === 'issue' && due.names], ['issue', policy.names])
})

void test('without anything, all is made', () => {
  const nothing = { authorities: [], signer: undefined, serving: undefined }
  assert.deepEqual(planAt(0, nothing), { kind: 'make-all', reason: 'there is none yet', kept: [] })
})

void test('a serving certificate that is missing, broken, expired or lacks a name is issued again', () => {
  assert.equal(planAt(1, { serving: undefined, faults: ['tls.key is of another'] }).kind, 'issue')
  assert.equal(planAt(901).kind, 'issue')
  const renamed = planAt(1, { serving: serving(0, startMs, { names: ['a.svc', 'old.example'] }) })
  assert.ok(renamed.kind === 'issue')
  assert.match(renamed.reason, /lacks 127\.0\.0\.1/)
  assert.deepEqual(renamed.names, ['a.svc', '127.0.0.1', 'old.example'], 'what another replica needs stays')
})

void test('a new authority is made known first, used after the overlap, and the old one dropped after another', () => {
  const facts = { serving: serving(0, startMs + 5800 * second) }
  const due = planAt(6000, facts)
  assert.deepEqual([due.kind, due.kind === 'add-authority' && due.kept], ['add-authority', [0]])
  // The new one stands first, and its key is the one that we have now.
  const both = {
    authorities: [authority(startMs + 6000 * second, 'new'), authority(startMs, 'old')],
    signer: 0,
    serving: serving(1, startMs + 5800 * second),
  }
  assert.equal(planAt(6200, both).kind, 'keep', 'nobody was told')
  assert.equal(planAt(6050, both, 6010).kind, 'keep', 'told a moment ago')
  assert.equal(planAt(6110, both, 6010).kind, 'issue')
  const used = { ...both, serving: serving(0, startMs + 6110 * second) }
  assert.deepEqual(planAt(6150, used, 6010), { kind: 'keep', nextMs: startMs + 6210 * second })
  const drop = planAt(6210, used, 6010)
  assert.deepEqual([drop.kind, drop.kind === 'drop-authorities' && drop.kept], ['drop-authorities', [0]])
})

void test('an authority that nobody could be told of is used rather than an expired certificate', () => {
  const both = {
    authorities: [authority(startMs + 6000 * second, 'new'), authority(startMs, 'old')],
    serving: serving(1, startMs + 5800 * second),
  }
  assert.equal(planAt(5800 + 740, both).kind, 'keep')
  assert.equal(planAt(5800 + 750, both).kind, 'issue')
})

void test('a note of another bundle does not count as told', () => {
  const both = {
    ...good,
    authorities: [authority(startMs, 'new'), authority(startMs, 'old')],
    serving: serving(1, startMs),
  }
  const published = { hash: 'earlier', atMs: startMs }
  const plan = planCertificates(both, policy, { nowMs: startMs + 400 * second, bundleHash, published })
  assert.equal(plan.kind, 'keep')
})

void test('a lost or expired authority is replaced; what is served goes on while it is good', () => {
  const lost = { signer: undefined, faults: ['ca.key is no private key'] }
  const added = planAt(10, lost)
  assert.deepEqual([added.kind, added.kind === 'add-authority' && added.kept], ['add-authority', [0]])
  const all = planAt(10, { ...lost, serving: undefined })
  assert.deepEqual([all.kind, all.kind === 'make-all' && all.kept], ['make-all', [0]])
  const expired = planAt(9001, { serving: serving(0, startMs + 8500 * second) })
  assert.deepEqual([expired.kind, expired.kind === 'make-all' && expired.kept], ['make-all', []])
})

void test('a certificate that was cut to the end of its authority is not renewed over and over', () => {
  const cut = serving(0, startMs, { endMs: startMs + 90 * second })
  assert.equal(planAt(1, { serving: cut }).kind, 'keep')
  assert.equal(planAt(59, { serving: cut }).kind, 'keep')
  assert.equal(planAt(60, { serving: cut }).kind, 'issue')
})

void test('what does not belong into the bundle is dropped from it', () => {
  const facts = { faults: ['ca.crt holds a certificate that is no authority'] }
  assert.equal(planAt(50, facts).kind, 'keep')
  assert.equal(planAt(101, facts).kind, 'drop-authorities')
})
