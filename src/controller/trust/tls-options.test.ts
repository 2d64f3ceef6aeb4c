import assert from 'node:assert/strict'
import test from 'node:test'
import { InvalidInputError } from '../../base/index.ts'
import { parseControllerOptions } from '../options.ts'

const parse = (...args: readonly string[]) =>
  parseControllerOptions(['--in-cluster', '--namespace', 'net', ...args], {}, 'host-1').tls

void test('certificates are self-managed unless told otherwise, for the names by which the controller is called', () => {
  const tls = parse('--listen', '10.0.0.5:5722')
  assert.ok(tls.mode === 'self-managed')
  assert.equal(tls.secretName, 'spiderpool-controller-tls')
  assert.deepEqual(tls.policy.names, [
    'spiderpool-controller.net.svc',
    'spiderpool-controller.net.svc.cluster.local',
    'spiderpool-controller',
    'localhost',
    '127.0.0.1',
    '::1',
    '10.0.0.5',
  ])
  const named = parse('--webhook-service', 'net/hooks:443', '--cluster-domain', 'example.org')
  assert.ok(named.mode === 'self-managed')
  assert.ok(named.policy.names.includes('hooks.net.svc'))
  assert.ok(named.policy.names.includes('spiderpool-controller.net.svc.example.org'))
  assert.deepEqual(parse('--tls-mode', 'files', '--tls-cert', '/c', '--tls-key', '/k', '--tls-ca', '/a'), {
    mode: 'files',
    files: { certFile: '/c', keyFile: '/k', caFile: '/a' },
  })
})

void test('a bad flag is refused by name and remedy', () => {
  const cases: readonly (readonly [string, readonly string[]])[] = [
    ['--tls-mode', ['--tls-mode', 'none']],
    ['--tls-cert', ['--tls-cert', '/c']],
    ['--tls-ca', ['--tls-mode', 'files', '--tls-cert', '/c', '--tls-key', '/k']],
    ['--tls-key', ['--tls-mode', 'files', '--tls-cert', '/c', '--tls-ca', '/a']],
    ['--tls-secret', ['--tls-secret', 'A_b']],
    ['--ca-seconds', ['--ca-seconds', '0']],
    ['--cert-seconds', ['--ca-seconds', '90', '--cert-seconds', '31']],
    ['--ca-overlap-seconds', ['--cert-seconds', '60', '--ca-overlap-seconds', '11']],
    ['--ca-overlap-seconds', ['--ca-overlap-seconds', '1.5']],
    ['--cluster-domain', ['--cluster-domain', 'a b']],
    ['--metrics-listen', ['--metrics-listen', 'here']],
  ]
  for (const [field, args] of cases)
    assert.throws(
      () => parse(...args),
      (error) => {
        assert.ok(error instanceof InvalidInputError, String(error))
        assert.ok(error.message.startsWith(`Cannot accept ${field} `), error.message)
        assert.notEqual(error.hint, '')
        return true
      },
    )
})
