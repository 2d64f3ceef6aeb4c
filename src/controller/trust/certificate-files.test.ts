import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { silentLogger, systemClock } from '../../base/index.ts'
import { createCa, issueCertificate, type KeyPair } from '../../rpc/index.ts'
import { CertificateFileError, openCertificateFiles } from './certificate-files.ts'

const dir = mkdtempSync(join(tmpdir(), 'certificate-files-'))
after(() => rmSync(dir, { recursive: true }))
const serverName = 'spiderpool-controller.kube-system.svc'
const request = { commonName: 'c', dnsNames: [serverName], days: 1, usages: ['server'] } as const
let ca: KeyPair
let leaf: KeyPair
before(async () => {
  ca = await createCa('given', 10)
  leaf = await issueCertificate(ca, request)
})

function write(name: string, text: string): string {
  const path = join(dir, name)
  writeFileSync(path, text)
  return path
}
const filesOf = (cert: string, key: string, authority: string) => ({
  certFile: write('tls.crt', cert),
  keyFile: write('tls.key', key),
  caFile: write('ca.crt', authority),
})
const open = (files: ReturnType<typeof filesOf>, nowMs = Date.now()) =>
  openCertificateFiles({
    files,
    serverName,
    clock: { ...systemClock, nowMs: () => nowMs },
    logger: silentLogger,
  })

void test('good files are served, and served anew when they change', async () => {
  const files = filesOf(leaf.certPem, leaf.keyPem, ca.certPem)
  let sleeps = 0
  const clock = {
    ...systemClock,
    sleep: async () => {
      sleeps += 1
      if (sleeps === 2) {
        write('tls.crt', next.certPem)
        write('tls.key', leaf.keyPem) // half written: not usable yet
      }
      if (sleeps === 3) write('tls.key', next.keyPem)
      if (sleeps === 4) stop.abort()
    },
  }
  const next = await issueCertificate(ca, request)
  const stop = new AbortController()
  const source = await openCertificateFiles({ files, serverName, clock, logger: silentLogger })
  const seen: string[] = []
  source.onChange(({ cert }) => seen.push(cert))
  await source.follow(stop.signal)
  assert.deepEqual(seen, [next.certPem])
  assert.equal(source.current.key, next.keyPem)
})

void test('files that cannot be served by are refused by name, with what was found and the remedy', async () => {
  const other = await createCa('other', 10)
  const day = 86_400_000
  const good = () => filesOf(leaf.certPem, leaf.keyPem, ca.certPem)
  const cases: readonly (readonly [() => Promise<unknown>, RegExp])[] = [
    [() => open({ ...good(), keyFile: join(dir, 'none') }), /Cannot read ".*none": ENOENT/],
    [() => open(filesOf('x', leaf.keyPem, ca.certPem)), /tls\.crt": it holds no PEM certificate/],
    [
      () => open(filesOf(leaf.certPem, ca.keyPem, ca.certPem)),
      /tls\.key": it is the key of another certificate/,
    ],
    [() => open(filesOf(leaf.certPem, 'x', ca.certPem)), /tls\.key": it is no private key/],
    [() => open(good(), Date.now() + 2 * day), /tls\.crt": it expired at /],
    [() => open(good(), Date.now() - 2 * day), /tls\.crt": it is not valid before /],
    [() => open(filesOf(leaf.certPem, leaf.keyPem, '')), /ca\.crt": it holds no PEM certificate/],
    [
      () => open(filesOf(leaf.certPem, leaf.keyPem, other.certPem)),
      /ca\.crt": none of its authorities signed/,
    ],
  ]
  for (const [work, expected] of cases)
    await assert.rejects(work(), (error) => {
      assert.ok(error instanceof CertificateFileError, String(error))
      assert.match(error.message, expected)
      assert.notEqual(error.hint, '')
      return true
    })
})
