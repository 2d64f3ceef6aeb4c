import assert from 'node:assert/strict'
import { once } from 'node:events'
import http from 'node:http'
import { test } from 'node:test'
import fc from 'fast-check'
import { silentLogger } from '../base/index.ts'
import { serveAllocator } from './allocator-server.ts'

// Each seed damages one member of a good body, in one of the ways below.
const seed = 20260201
const caseCount = 400

const good = {
  '/v1/allocate': {
    containerId: 'c1',
    ifName: 'eth0',
    netns: '/var/run/netns/x',
    podNamespace: 'default',
    podName: 'pod-1',
    podUid: 'uid-1',
    defaultIpv4Pools: ['pool-a'],
    defaultIpv6Pools: [],
    cleanGateway: false,
    budgetMs: 3000,
  },
  '/v1/release': {
    containerId: 'c1',
    ifName: 'eth0',
    reason: 'detach',
    pod: { namespace: 'default', name: 'web-1', uid: 'u1' },
  },
  '/v1/check': { containerId: 'c1', ifName: 'eth0', ips: ['10.0.0.1'] },
  '/v1/node-report': { takenAtMs: 1, answeredMs: 0, alive: [{ containerId: 'c1', ifName: 'eth0' }] },
} as const
type Path = keyof typeof good

const badTexts = [
  '',
  ' ',
  '\u0000',
  '../x',
  'a b',
  'ü',
  '%',
  'x'.repeat(5000),
  '-',
  '\n',
  '🙂',
  'a/b:c',
  '🙂'.repeat(300),
]
const badValues: Readonly<Record<string, readonly unknown[]>> = {
  text: [undefined, null, 0, 1.5, true, [], {}, ['x'], { a: 1 }, ...badTexts],
  ifName: [
    undefined,
    null,
    0,
    true,
    [],
    {},
    '',
    ' ',
    'a b',
    '..',
    '.',
    'a/b',
    'a:b',
    'x'.repeat(16),
    '\u0000',
    'a\n',
  ],
  podUid: [undefined, null, 7, [], {}, 'a b', 'x'.repeat(129), '\u0000', 'a/b'],
  flag: [undefined, null, 0, 1, 'true', 'false', '', [], {}],
  budgetMs: [undefined, null, 0, -1, 1.5, 1e12, '3000', true, [], {}, '9'.repeat(30)],
  takenAtMs: [undefined, null, -1, 0.5, 1e300, 'now', true, [], {}],
  pools: [
    undefined,
    null,
    'pool-a',
    5,
    {},
    [1],
    [null],
    [''],
    ['a b'],
    ['A'],
    ['[z-a]'],
    ['*'.repeat(300)],
    [[]],
    Array(300).fill('a'),
  ],
  ips: [
    undefined,
    null,
    '10.0.0.1',
    {},
    [1],
    [''],
    ['10.0.0'],
    ['10.0.0.1/24'],
    ['::g'],
    ['300.1.1.1'],
    Array(300).fill('10.0.0.1'),
  ],
  pod: [
    null,
    7,
    'default/web-1',
    [],
    {},
    { namespace: 'default', name: 'web-1' },
    { namespace: 'default', name: 'web-1', uid: 'a b' },
    { namespace: 'a/b', name: 'web-1', uid: 'u' },
    { namespace: 'default', name: 'Web', uid: 'u' },
  ],
  alive: [
    undefined,
    null,
    'x',
    {},
    [1],
    [null],
    [[]],
    [{}],
    [{ containerId: 'c' }],
    [{ containerId: '', ifName: 'eth0' }],
    Array(10_001).fill({}),
  ],
}
const kindOf: Readonly<Record<string, string>> = {
  ifName: 'ifName',
  podUid: 'podUid',
  cleanGateway: 'flag',
  budgetMs: 'budgetMs',
  takenAtMs: 'takenAtMs',
  answeredMs: 'takenAtMs',
  defaultIpv4Pools: 'pools',
  defaultIpv6Pools: 'pools',
  ips: 'ips',
  alive: 'alive',
  pod: 'pod',
}
const badBodies = [
  '',
  'null',
  '[]',
  '1',
  '"x"',
  '{',
  '{"a":',
  '\ufeff',
  'nul',
  '{"a":1}{',
  '[[[[',
  `${'['.repeat(50_000)}`,
]

interface Damaged {
  readonly path: Path
  readonly member: string
  readonly body: Buffer
}

const damaged: fc.Arbitrary<Damaged> = fc
  .constantFrom<Path>('/v1/allocate', '/v1/release', '/v1/check', '/v1/node-report')
  .chain((path) => {
    const member = fc.constantFrom(...Object.keys(good[path])).chain((name) =>
      fc.constantFrom(...(badValues[kindOf[name] ?? 'text'] ?? [])).map((value) => ({
        path,
        member: name,
        body: Buffer.from(JSON.stringify({ ...good[path], [name]: value })),
      })),
    )
    const whole = fc
      .constantFrom(...badBodies)
      .map((text) => ({ path, member: 'body', body: Buffer.from(text) }))
    const bytes = fc
      .uint8Array({ minLength: 1, maxLength: 64 })
      .map((array) => ({ path, member: 'body', body: Buffer.from([0xff, ...array]) }))
    return fc.oneof(
      { weight: 8, arbitrary: member },
      { weight: 1, arbitrary: whole },
      { weight: 1, arbitrary: bytes },
    )
  })

async function post(port: number, path: string, body: Buffer): Promise<{ status: number; text: string }> {
  const headers = { authorization: 'Bearer good' }
  const outgoing = http.request({ host: '127.0.0.1', port, path, method: 'POST', headers })
  outgoing.end(body)
  const [response] = await once(outgoing, 'response')
  let text = ''
  for await (const chunk of response.setEncoding('utf8')) text += chunk
  return { status: response.statusCode, text }
}

void test(`${caseCount} seeded bad bodies are each refused with field, value and remedy, and the server goes on`, async () => {
  let reached = 0
  const count = () => {
    reached += 1
    return Promise.resolve()
  }
  const server = await serveAllocator(
    {
      host: '127.0.0.1',
      port: 0,
      authenticate: () => Promise.resolve({}),
      handlers: {
        allocate: async () => {
          await count()
          return { ips: [], routes: [] }
        },
        release: count,
        check: count,
        nodeReport: async () => {
          await count()
          return { isAwaited: false }
        },
      },
    },
    silentLogger,
  )
  try {
    const faults = new Set<string>()
    for (const { path, member, body } of fc.sample(damaged, { seed, numRuns: caseCount })) {
      const answer = await post(server.port, path, body)
      const shown = `${path} ${member} ${body.toString('utf8').slice(0, 200)} -> ${answer.text.slice(0, 300)}`
      assert.equal(answer.status, 400, shown)
      const failure: unknown = JSON.parse(answer.text)
      assert.ok(
        typeof failure === 'object' && failure !== null && 'msg' in failure && 'details' in failure,
        shown,
      )
      const { msg, details } = failure
      const names = new RegExp(`^Cannot accept (alive\\[\\d+\\]\\.)?${member}\\S* .*: it `)
      assert.ok(
        typeof msg === 'string' && (names.test(msg) || (member === 'alive' && msg.includes('alive['))),
        shown,
      )
      assert.match(String(details), /^(environment|network-config): (send|write) /, shown)
      assert.ok(msg.length < 600, shown)
      faults.add(`${path} ${member} ${msg.replace(/^.*: it /, '')}`)
    }
    assert.equal(reached, 0)
    assert.ok(faults.size >= 30, `${faults.size} kinds of fault`)
    for (const path of Object.keys(good) as Path[]) {
      assert.equal((await post(server.port, path, Buffer.from(JSON.stringify(good[path])))).status, 200)
    }
  } finally {
    await server.close(AbortSignal.timeout(2000))
  }
})
