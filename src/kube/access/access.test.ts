import assert from 'node:assert/strict'
import { chmod, mkdtemp, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, beforeEach, test } from 'node:test'
import { ScriptedApi, sendStatus } from '../../../test/support/scripted-api.ts'
import { resources } from '../../api/index.ts'
import { InvalidInputError } from '../../base/index.ts'
import { KubeClient } from '../kube-client.ts'
import { inClusterConfig } from './access.ts'
import { loadKubeconfig } from './kubeconfig.ts'

const soon = () => AbortSignal.timeout(8000)
const server = new ScriptedApi()
let dir: string

before(async () => {
  await server.start()
})
after(() => server.stop())
beforeEach(async (t) => {
  dir = await mkdtemp(join(tmpdir(), 'kube-access-'))
  const mine = dir
  if ('after' in t) t.after(() => rm(mine, { recursive: true, force: true }))
  server.requests.length = 0
})

interface Parts {
  readonly server?: string
  readonly cluster?: Record<string, unknown>
  readonly user?: Record<string, unknown>
}

async function kubeconfig(parts: Parts): Promise<string> {
  const path = join(dir, 'kubeconfig')
  const text = JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'main',
    contexts: [{ name: 'main', context: { cluster: 'c', user: 'u', namespace: 'team' } }],
    clusters: [{ name: 'c', cluster: { server: parts.server ?? server.url, ...parts.cluster } }],
    users: [{ name: 'u', user: parts.user ?? {} }],
  })
  await writeFile(path, text)
  return path
}

// A plugin that answers with token-1, token-2, ... each time it runs.
async function plugin(status: string): Promise<string> {
  const path = join(dir, 'plugin')
  const lines = [
    '#!/bin/sh',
    `n=$(cat "${dir}/count" 2>/dev/null || echo 0); n=$((n+1)); echo $n > "${dir}/count"`,
    'test -n "$KUBERNETES_EXEC_INFO" || exit 3',
    `echo '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":${status}}' | sed "s/@N@/$n/"`,
  ]
  await writeFile(path, `${lines.join('\n')}\n`)
  await chmod(path, 0o755)
  return path
}

const exec = (command: string, more: Record<string, unknown> = {}) => ({
  exec: { apiVersion: 'client.authentication.k8s.io/v1', command, interactiveMode: 'Never', ...more },
})
const runs = async () => Number(await readFile(join(dir, 'count'), 'utf8').catch(() => '0'))

void test('loadKubeconfig() reads token, namespace and certificates, inline and from files', async () => {
  const pem = '-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n'
  await writeFile(join(dir, 'ca.pem'), pem)
  await writeFile(join(dir, 'client.key'), '-----BEGIN PRIVATE KEY-----\n')
  const path = await kubeconfig({
    server: 'https://10.0.0.1:6443/',
    cluster: { 'certificate-authority': 'ca.pem', 'tls-server-name': 'api.test' },
    user: {
      token: 't1',
      'client-certificate-data': Buffer.from(pem).toString('base64'),
      'client-key': 'client.key',
    },
  })
  const access = await loadKubeconfig(path)
  const credentials = await access.current(soon())
  assert.equal(access.namespace, 'team')
  assert.equal(credentials.server, 'https://10.0.0.1:6443')
  assert.equal(credentials.authorization, 'Bearer t1')
  assert.deepEqual(credentials.tls, {
    ca: pem,
    servername: 'api.test',
    cert: pem,
    key: '-----BEGIN PRIVATE KEY-----\n',
  })
})

void test('a token file that is rotated is used within its check interval, and at once after 401', async () => {
  await writeFile(join(dir, 'token-1'), 'first\n')
  await symlink('token-1', join(dir, 'token'))
  const client = new KubeClient(await loadKubeconfig(await kubeconfig({ user: { tokenFile: 'token' } })))
  server.put('a')
  const get = () => client.get(resources.configMap, { name: 'a', namespace: 'ns' }, soon())
  await get()
  // As the kubelet does it: a new file, and the link moved over.
  await writeFile(join(dir, 'token-2'), 'second\n')
  await symlink('token-2', join(dir, 'token.new'))
  await rename(join(dir, 'token.new'), join(dir, 'token'))
  const refuse = server.always((seen, response) => {
    if (seen.headers.authorization === 'Bearer second') return false
    sendStatus(response, 401, 'Unauthorized')
    return true
  })
  assert.ok((await get()) !== undefined)
  refuse()
  assert.deepEqual(
    server.requests.map((seen) => seen.headers.authorization),
    ['Bearer first', 'Bearer first', 'Bearer second'],
  )
  await client.close()
})

void test('an exec plugin runs once, and again when the server refuses its token', async () => {
  const command = await plugin('{"token":"token-@N@"}')
  const path = await kubeconfig({ user: exec('./plugin', { provideClusterInfo: true }) })
  assert.ok(command.endsWith('/plugin'))
  const access = await loadKubeconfig(path)
  const first = await access.current(soon())
  assert.equal(first.authorization, 'Bearer token-1')
  assert.equal((await access.current(soon())).authorization, 'Bearer token-1')
  assert.equal(await runs(), 1)
  access.reject(first)
  const second = await access.current(soon())
  assert.equal(second.authorization, 'Bearer token-2')
  // A server that refuses every token does not make us start a process for each call.
  access.reject(second)
  await access.current(soon())
  assert.equal(await runs(), 2)
})

void test('the token of an exec plugin is renewed before it expires', async () => {
  const end = () => new Date(Date.now() + 700).toISOString()
  const command = await plugin(`{"token":"token-@N@","expirationTimestamp":"${end()}"}`)
  const access = await loadKubeconfig(await kubeconfig({ user: exec(command) }))
  assert.equal((await access.current(soon())).authorization, 'Bearer token-1')
  await plugin(
    `{"token":"token-@N@","expirationTimestamp":"${new Date(Date.now() + 3_600_000).toISOString()}"}`,
  )
  await new Promise((resolve) => setTimeout(resolve, 750))
  assert.equal((await access.current(soon())).authorization, 'Bearer token-2')
})

void test('a plugin that fails, hangs on a terminal, or prints nonsense is named with what it said', async () => {
  const broken = join(dir, 'broken')
  await writeFile(broken, '#!/bin/sh\necho "login first" >&2\nexit 1\n')
  await chmod(broken, 0o755)
  await assert.rejects(
    loadKubeconfig(await kubeconfig({ user: exec(broken) })),
    /plugin ".*broken": login first/,
  )
  const nonsense = await plugin('{"token":5}')
  await assert.rejects(
    loadKubeconfig(await kubeconfig({ user: exec(nonsense) })),
    /status\.token 5: it is not a string/,
  )
  const neither = await plugin('{}')
  await assert.rejects(
    loadKubeconfig(await kubeconfig({ user: exec(neither) })),
    /neither a token nor a certificate/,
  )
  await assert.rejects(loadKubeconfig(await kubeconfig({ user: exec('/no/such/plugin') })), /ENOENT/)
  const terminal = exec(nonsense, { interactiveMode: 'Always' })
  await assert.rejects(loadKubeconfig(await kubeconfig({ user: terminal })), /needs a terminal/)
})

void test('a changed kubeconfig is read again; a broken one leaves what worked', async () => {
  const path = await kubeconfig({ user: { token: 'one' } })
  const access = await loadKubeconfig(path)
  assert.equal((await access.current(soon())).authorization, 'Bearer one')
  await writeFile(path, '{ broken')
  access.reject(await access.current(soon()))
  assert.equal((await access.current(soon())).authorization, 'Bearer one')
  await kubeconfig({ user: { token: 'two' } })
  access.reject(await access.current(soon()))
  assert.equal((await access.current(soon())).authorization, 'Bearer two')
})

void test('inClusterConfig() reads the volume of the ServiceAccount', async () => {
  await writeFile(join(dir, 'token'), 'pod-token')
  await writeFile(join(dir, 'ca.crt'), '-----BEGIN CERTIFICATE-----\n')
  await writeFile(join(dir, 'namespace'), 'kube-system\n')
  const env = { KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '443' }
  const access = await inClusterConfig(dir, env)
  const credentials = await access.current(soon())
  assert.deepEqual([credentials.server, credentials.authorization], ['https://[fd00::1]', 'Bearer pod-token'])
  assert.equal(access.namespace, 'kube-system')
  await assert.rejects(inClusterConfig(dir, {}), InvalidInputError)
  await assert.rejects(inClusterConfig(join(dir, 'none'), env), /cannot be read/)
})

const certificate = Buffer.from('-----BEGIN CERTIFICATE-----\n').toString('base64')
const badConfigs: readonly (readonly [string, Parts | string, RegExp])[] = [
  ['text that is no YAML', '{ "a": [', /kubeconfig .* not YAML/],
  ['no object', '[]', /kubeconfig \[\]: it is not an object/],
  ['no context', '{}', /current-context/],
  ['an unknown context', 'current-context: x\ncontexts: []', /contexts "x": it has no entry/],
  ['a server that is no URL', { server: 'nonsense' }, /server "nonsense": it is not a URL/],
  ['plain HTTP to elsewhere', { server: 'http://10.0.0.1' }, /plain HTTP to another machine/],
  ['another protocol', { server: 'ftp://127.0.0.1' }, /neither https nor http/],
  ['TLS without checks', { cluster: { 'insecure-skip-tls-verify': true } }, /trusts any server/],
  ['a proxy', { cluster: { 'proxy-url': 'http://p' } }, /proxy-url .* not supported/],
  ['a CA file that is not there', { cluster: { 'certificate-authority': 'none.pem' } }, /none\.pem/],
  ['CA data that is no PEM', { cluster: { 'certificate-authority-data': 'eA==' } }, /not base64 of PEM/],
  [
    'a certificate without a key',
    { user: { 'client-certificate-data': certificate } },
    /client-key .*is missing/,
  ],
  ['a password', { user: { username: 'a', password: 'b' } }, /users\[\]\.user\.username .* not supported/],
  ['a token of two lines', { user: { token: 'a\nb' } }, /not a token/],
  ['a token that is a number', { user: { token: 5 } }, /token 5: it is not a string/],
  ['an exec plugin of an old version', { user: { exec: { apiVersion: 'v0', command: 'x' } } }, /apiVersion/],
  ['an exec plugin that is a text', { user: { exec: 'x' } }, /exec "x": it is not an object/],
]

for (const [name, parts, wanted] of badConfigs) {
  void test(`loadKubeconfig() refuses ${name}`, async () => {
    const path = typeof parts === 'string' ? join(dir, 'kubeconfig') : await kubeconfig(parts)
    if (typeof parts === 'string') await writeFile(path, parts)
    await assert.rejects(loadKubeconfig(path), (error) => {
      assert.ok(error instanceof InvalidInputError, String(error))
      assert.match(error.message, wanted)
      assert.notEqual(error.hint, '')
      return true
    })
  })
}

void test('TLS without checks is accepted when it is allowed expressly', async () => {
  const path = await kubeconfig({ cluster: { 'insecure-skip-tls-verify': true } })
  const access = await loadKubeconfig(path, { allowInsecure: true })
  assert.equal((await access.current(soon())).tls.insecure, true)
})
