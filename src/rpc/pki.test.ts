import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { test } from 'node:test'
import tls from 'node:tls'
import { certificateEndMs, createCa, issueCertificate, type KeyPair } from './pki.ts'

async function handshake(server: KeyPair, ca: KeyPair, servername: string, client?: KeyPair) {
  const listener = tls.createServer(
    {
      cert: server.certPem,
      key: server.keyPem,
      ca: ca.certPem,
      requestCert: client !== undefined,
      minVersion: 'TLSv1.2',
    },
    (socket) => socket.end(JSON.stringify(socket.getPeerCertificate().subject ?? {})),
  )
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const address = listener.address()
  assert.ok(address !== null && typeof address === 'object')
  try {
    const socket = tls.connect({
      host: '127.0.0.1',
      port: address.port,
      ca: ca.certPem,
      servername,
      ...(client === undefined ? {} : { cert: client.certPem, key: client.keyPem }),
    })
    let text = ''
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
    })
    await once(socket, 'end')
    socket.destroy()
    return text
  } finally {
    listener.close()
  }
}

void test('issueCertificate() makes server and client certificates that a TLS handshake accepts', async () => {
  const ca = await createCa('spiderpool-ca', 3650)
  const server = await issueCertificate(ca, {
    commonName: 'controller',
    dnsNames: ['spiderpool-controller.kube-system.svc'],
    ipAddresses: ['127.0.0.1', '::1'],
    days: 30,
    usages: ['server'],
  })
  const client = await issueCertificate(ca, {
    commonName: 'admin',
    organizations: ['system:masters', 'second'],
    days: 30,
    usages: ['client'],
  })
  const subject: unknown = JSON.parse(
    await handshake(server, ca, 'spiderpool-controller.kube-system.svc', client),
  )
  assert.deepEqual(subject, { O: ['system:masters', 'second'], CN: 'admin' })
  const read = new X509Certificate(server.certPem)
  assert.ok(read.checkIP('127.0.0.1') && read.checkIP('::1'))
  assert.ok(read.verify(new X509Certificate(ca.certPem).publicKey))
})

void test('a TLS client refuses a certificate for another name or of another authority', async () => {
  const ca = await createCa('one', 10)
  const other = await createCa('one', 10)
  const request = { commonName: 'x', dnsNames: ['a.example'], days: 5, usages: ['server'] } as const
  const server = await issueCertificate(ca, request)
  await assert.rejects(handshake(server, ca, 'b.example'), /ERR_TLS_CERT_ALTNAME_INVALID|altnames/)
  await assert.rejects(handshake(server, other, 'a.example'), /certificate/)
})

void test('a certificate may live for seconds', async () => {
  const ca = await createCa('short', 1 / 24)
  const leaf = await issueCertificate(ca, { commonName: 'x', days: 20 / 86_400, usages: ['server'] })
  const leftMs = certificateEndMs(leaf.certPem) - Date.now()
  assert.ok(leftMs > 0 && leftMs <= 21_000, String(leftMs))
})

void test('a certificate does not outlive its authority', async () => {
  const ca = await createCa('short', 2)
  const leaf = await issueCertificate(ca, { commonName: 'x', days: 100, usages: ['server'] })
  assert.ok(certificateEndMs(leaf.certPem) <= certificateEndMs(ca.certPem))
})

void test('bad requests name the field, the value and the remedy', async () => {
  const ca = await createCa('ca', 2)
  const bad = { commonName: 'x', usages: [] } as const
  await assert.rejects(issueCertificate(ca, { ...bad, days: 0 }), /Cannot accept days 0: it is not between/)
  await assert.rejects(createCa('', 1), /Cannot accept commonName ""/)
  await assert.rejects(issueCertificate({ ...ca, certPem: 'x' }, { ...bad, days: 1 }), /ca\.certPem "x"/)
  await assert.rejects(issueCertificate({ ...ca, keyPem: 'x' }, { ...bad, days: 1 }), /ca\.keyPem/)
  assert.throws(() => certificateEndMs('x'), /is not a PEM certificate/)
})
