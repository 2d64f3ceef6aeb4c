import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { defaultProductConfig } from '../api/index.ts'
import { InvalidInputError } from '../base/index.ts'
import { parseAgentFlags, withAgentConfig } from './agent-flags.ts'

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
  const repeated = parseAgentFlags([...args(), '--controller-url', 'https://[::1]:3'])
  assert.deepEqual(repeated.controllerUrls, [...flags.controllerUrls, 'https://[::1]:3'])
  assert.deepEqual(flags.pluginPath, ['/a', '/b'])
  assert.equal(flags.hostNetns, '/var/run/netns/n')
  assert.deepEqual(flags.defaults, { clusterNetwork: 'kube-system/macvlan-ens192', namespace: 'kube-system' })
  assert.equal(flags.socketPath, '/var/run/spidernet/spiderpool.sock')
  assert.equal(flags.controllerName, 'spiderpool-controller.kube-system.svc')
  assert.equal(parseAgentFlags(args({ 'controller-ca': undefined })).controllerCa, undefined)
  assert.equal(parseAgentFlags([...args({ kubeconfig: undefined }), '--in-cluster']).kubeconfig, undefined)
})

void test('the controller is found by its Service, the socket in conf.yml, unless flags say otherwise', () => {
  const env = { SPIDERPOOL_CONTROLLER_SERVICE_HOST: 'fd00::5', SPIDERPOOL_CONTROLLER_SERVICE_PORT: '5722' }
  Object.assign(process.env, env)
  try {
    const flags = parseAgentFlags(args({ 'controller-url': undefined, 'health-port': '5710', config: file }))
    assert.deepEqual(flags.controllerUrls, ['https://[fd00::5]:5722'])
    assert.equal(flags.healthPort, 5710)
    assert.equal(flags.configFile, file)
    const config = { ...defaultProductConfig, ipamUnixSocketPath: '/run/other.sock' }
    assert.equal(withAgentConfig(flags, config).socketPath, '/run/other.sock')
    const given = parseAgentFlags(args({ socket: '/run/given.sock' }))
    assert.equal(withAgentConfig(given, config).socketPath, '/run/given.sock')
  } finally {
    for (const name of Object.keys(env)) delete process.env[name]
  }
})

const refused: readonly (readonly [string, Readonly<Record<string, string | undefined>>])[] = [
  ['--node', { node: undefined }],
  ['--controller-url', { 'controller-url': undefined }],
  ['--health-port', { 'health-port': '0' }],
  ['--config', { config: join(dir, 'none') }],
  ['--node', { node: 'Node_1' }],
  ['--kubeconfig', { kubeconfig: undefined }],
  ['--kubeconfig', { kubeconfig: join(dir, 'none') }],
  ['--kubeconfig', { kubeconfig: 'relative' }],
  ['--controller-url', { 'controller-url': 'http://127.0.0.1' }],
  ['--controller-url', { 'controller-url': 'https://a,' }],
  ['--controller-ca', { 'controller-ca': dir }],
  ['--controller-name', { 'controller-name': 'a_b' }],
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
