import assert from 'node:assert/strict'
import { createPrivateKey, generateKeyPairSync } from 'node:crypto'
import { before, test } from 'node:test'
import fc from 'fast-check'
import { createCa, issueCertificate, type KeyPair } from '../../rpc/index.ts'
import { type CertificateTexts, readFacts } from './certificate-facts.ts'

let ca: KeyPair
let other: KeyPair
let leaf: KeyPair
let texts: CertificateTexts
before(async () => {
  ca = await createCa('one', 10)
  other = await createCa('two', 10)
  const names = { dnsNames: ['a.svc'], ipAddresses: ['127.0.0.1', '::1', 'fd00::a'] }
  leaf = await issueCertificate(ca, { commonName: 'c', ...names, days: 1, usages: ['server'] })
  texts = { caBundle: other.certPem + ca.certPem, caKey: ca.keyPem, cert: leaf.certPem, key: leaf.keyPem }
})

void test('readFacts() finds the authority whose key we have, and who signed the serving certificate', () => {
  const { authorities, signer, serving, faults } = readFacts(texts)
  assert.deepEqual(
    authorities.map(({ subject }) => subject),
    ['CN=two', 'CN=one'],
  )
  assert.deepEqual([signer, serving?.issuer, faults], [1, 1, []])
  assert.deepEqual(serving?.names, ['a.svc', '127.0.0.1', '::1', 'fd00::a'])
  assert.equal((serving?.endMs ?? 0) - (serving?.startMs ?? 0), 86_400_000 + 300_000)
})

void test('each thing that can be wrong is told', () => {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const rsa = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  const cases: readonly (readonly [Partial<CertificateTexts>, RegExp])[] = [
    [{ caBundle: 'x' }, /ca\.crt holds no PEM certificate/],
    [
      { caBundle: `${ca.certPem}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n` },
      /cannot be read/,
    ],
    [{ caBundle: ca.certPem + leaf.certPem }, /ca\.crt holds a certificate that is no authority/],
    [{ caKey: 'x' }, /ca\.key is no private key/],
    [{ caKey: rsa }, /ca\.key is not an ECDSA P-256 key/],
    [{ caKey: leaf.keyPem }, /ca\.key is the key of no certificate in ca\.crt/],
    [{ cert: 'x' }, /tls\.crt holds no PEM certificate/],
    [{ key: 'x' }, /tls\.key is no private key/],
    [{ key: '' }, /tls\.key is no private key/],
    [{ key: ca.keyPem }, /tls\.key is the key of another certificate/],
    [{ caBundle: other.certPem, caKey: other.keyPem }, /tls\.crt was signed by no authority in ca\.crt/],
  ]
  for (const [broken, expected] of cases)
    assert.match(readFacts({ ...texts, ...broken }).faults.join('; '), expected)
  assert.ok(createPrivateKey(rsa))
})

void test('a certificate that TLS does not take is a fault, though its key and its authority are right', async () => {
  await import('reflect-metadata')
  const { BasicConstraintsExtension, X509CertificateGenerator } = await import('@peculiar/x509')
  const rsa = { name: 'RSASSA-PKCS1-v1_5', modulusLength: 1024, hash: 'SHA-256' } as const
  const keyAlgorithm = { ...rsa, publicExponent: new Uint8Array([1, 0, 1]) }
  const keys = await crypto.subtle.generateKey(keyAlgorithm, true, ['sign', 'verify'])
  const extensions = [new BasicConstraintsExtension(true)]
  const weak = await X509CertificateGenerator.createSelfSigned(
    { name: 'CN=weak', keys, signingAlgorithm: rsa, extensions },
    crypto,
  )
  const cert = weak.toString('pem')
  const pkcs8 = Buffer.from(await crypto.subtle.exportKey('pkcs8', keys.privateKey))
  const key = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' }).export({
    format: 'pem',
    type: 'pkcs8',
  })
  const facts = readFacts({ ...texts, caBundle: ca.certPem + cert, cert, key: key.toString() })
  assert.equal(facts.serving, undefined)
  assert.match(facts.faults.join('; '), /tls\.crt and tls\.key cannot serve: .*key too small/)
})

void test('what is not there is no fault', () => {
  const nothing = { caBundle: '', caKey: '', cert: '', key: '' }
  assert.deepEqual(readFacts(nothing), { authorities: [], signer: undefined, serving: undefined, faults: [] })
})

void test('whatever a Secret holds, it is read without a throw', () => {
  const cut = fc.tuple(fc.constantFrom('caBundle', 'caKey', 'cert', 'key'), fc.nat(900), fc.string())
  fc.assert(
    fc.property(cut, ([field, at, junk]) => {
      const text = texts[field]
      readFacts({ ...texts, [field]: text.slice(0, at) + junk + text.slice(at + junk.length) })
    }),
    { numRuns: 200 },
  )
})
