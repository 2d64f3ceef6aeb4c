import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { InvalidInputError } from '../base/index.ts'
import { parseAgentFlags } from './agent-flags.ts'

const dir = mkdtempSync(join(tmpdir(), 'flags-'))
const file = join(dir, 'file')
writeFileSync(file, '')
test.after(() => {
  rmSync(dir, { recursive: true })
})

const good: Readonly<Record<string, string>> = {
  node: 'node1',
  kubeconfig: file,
  'controller-url': 'https://127.0.0.1:1,https://127.0.0.1:2',
  'controller-ca': file,
  'token-file': file,
}
const args = (more: Readonly<Record<string, string | undefined>> = {}) =>
  Object.entries({ ...good, ...more }).flatMap(([name, value]) =>
    value === undefined ? [] : [`--${name}`, value],
  )

void test('parseAgentFlags() fills in the usual places', () => {
  const flags = parseAgentFlags(args({ 'plugin-path': '/a:/b', 'host-netns': '/var/run/netns/n' }))
  assert.deepEqual(flags.controllerUrls, ['https://127.0.0.1:1', 'https://127.0.0.1:2'])
  assert.deepEqual(flags.pluginPath, ['/a', '/b'])
  assert.equal(flags.hostNetns, '/var/run/netns/n')
  assert.deepEqual(flags.defaults, { clusterNetwork: 'kube-system/macvlan-ens192', namespace: 'kube-system' })
  assert.equal(flags.socketPath, '/var/run/spidernet/spiderpool.sock')
  assert.equal(parseAgentFlags([...args({ kubeconfig: undefined }), '--in-cluster']).kubeconfig, undefined)
})

const refused: readonly (readonly [string, Readonly<Record<string, string | undefined>>])[] = [
  ['--node', { node: undefined }],
  ['--node', { node: 'Node_1' }],
  ['--kubeconfig', { kubeconfig: undefined }],
  ['--kubeconfig', { kubeconfig: join(dir, 'none') }],
  ['--kubeconfig', { kubeconfig: 'relative' }],
  ['--controller-url', { 'controller-url': 'http://127.0.0.1' }],
  ['--controller-url', { 'controller-url': 'https://a,' }],
  ['--controller-ca', { 'controller-ca': dir }],
  ['--token-file', { 'token-file': undefined }],
  ['--socket', { socket: `/${'x'.repeat(107)}` }],
  ['--spool-dir', { 'spool-dir': 'spool' }],
  ['--plugin-source', { 'plugin-source': '/nowhere' }],
  ['--plugin-path', { 'plugin-path': 'lib' }],
  ['--cluster-network', { 'cluster-network': 'macvlan' }],
  ['--namespace', { namespace: 'Kube' }],
  ['--log-level', { 'log-level': 'loud' }],
  ['flags', { unknown: 'x' }],
]

void test('a bad flag is refused by name, value and remedy', () => {
  for (const [field, more] of refused)
    assert.throws(
      () => parseAgentFlags(args(more)),
      (error) => {
        assert.ok(error instanceof InvalidInputError)
        assert.ok(error.message.startsWith(`Cannot accept ${field} `), error.message)
        assert.notEqual(error.hint, '')
        return true
      },
    )
})
