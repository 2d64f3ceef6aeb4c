import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { BlockEntry, KubeObject, Resource } from '../../api/index.ts'
import type { KubeApi, ListAllOptions } from '../../kube/index.ts'
import { runCli } from '../run-cli.ts'
import { clusterCommands } from './commands.ts'

const holder = (name: string, more: Partial<BlockEntry> = {}): BlockEntry => ({
  pool: 'p4',
  nic: 'eth0',
  owner: { kind: 'pod', uid: `uid-${name}` },
  pod: `race/${name}`,
  podUid: `uid-${name}`,
  node: 'node1',
  since: 1,
  grant: { prefixBits: 16 },
  ...more,
})

/** Runs `ip conflicts` on a cluster with these blocks and pools. */
async function conflicts(blocks: readonly object[], pools: readonly object[], flags: readonly string[] = []) {
  const api: Pick<KubeApi, 'listAll'> = {
    listAll: <T extends KubeObject>({ kind }: Resource, { keep }: ListAllOptions<T>) => {
      const objects = (kind === 'SpiderIPBlock' ? blocks : pools) as readonly T[]
      return Promise.resolve({ items: objects.map((one) => keep?.(one) ?? one), resourceVersion: '1' })
    },
  }
  const out: string[] = []
  const cluster = {
    connect: () => Promise.resolve({ api: api as KubeApi, close: () => Promise.resolve() }),
  }
  const terminal = {
    print: (line: string) => void out.push(line),
    note: (line: string) => void out.push(line),
  }
  const never = new AbortController().signal
  const code = await runCli(
    ['ip', 'conflicts', ...flags],
    clusterCommands(cluster, { KUBECONFIG: 'x' }),
    terminal,
    never,
  )
  return { code, text: out.join('\n') }
}

const blockOf = (entries: object, name = 'v4-0a070100-26') => ({
  metadata: { name, resourceVersion: '1' },
  spec: { cidr: '10.7.1.0/26', term: 1, entries },
})

void test('ip conflicts is content with a cluster where each address has one holder', async () => {
  const { code, text } = await conflicts(
    [blockOf({ '10.7.1.1': holder('a') })],
    [{ metadata: { name: 'p4' } }],
  )
  assert.equal(code, 0)
  assert.equal(text, 'No address is contested, and all records can be read.')
})

const advice =
  'Each is given to nobody new until one pod is left: delete the pod that should not have it, ' +
  'or restart its sandbox, and it gets another address.'

void test('ip conflicts names all holders of a contested address, what to do, and fails', async () => {
  const contested = holder('a', { claims: [holder('b', { adopted: 'endpoint', node: 'node2' })] })
  const { code, text } = await conflicts([blockOf({ '10.7.1.1': contested })], [])
  assert.equal(code, 1)
  assert.equal(
    text,
    `ADDRESS    ROLE        POD      UID     NODE    NIC    POOL   FOUND IN
10.7.1.1   owner       race/a   uid-a   node1   eth0   p4     allocated
10.7.1.1   claims it   race/b   uid-b   node2   eth0   p4     endpoint
${advice}`,
  )
})

void test('ip conflicts shows pools whose records cannot be read, and blocks that are damaged', async () => {
  const condition = { type: 'AllocatedIPsReadable', status: 'False', reason: 'R', message: 'is not JSON' }
  const pools = [{ metadata: { name: 'p4' }, status: { conditions: [condition] } }]
  const { code, text } = await conflicts([blockOf({ '10.7.1.1': 7 }), blockOf({}, 'odd')], pools)
  assert.equal(code, 1)
  assert.match(text, /^SpiderIPPool p4: is not JSON$/m)
  assert.match(text, /^SpiderIPBlock v4-0a070100-26: spec\.entries\[10\.7\.1\.1\] cannot be read/m)
  assert.match(text, /^SpiderIPBlock odd: .*is not the name of a block$/m)
})

void test('ip conflicts writes JSON and YAML for programs, with the holders as ip show has them', async () => {
  const contested = holder('a', { claims: [holder('b', { adopted: 'endpoint' })] })
  const { code, text } = await conflicts([blockOf({ '10.7.1.1': contested })], [], ['-o', 'json'])
  assert.equal(code, 1)
  const found = JSON.parse(text) as {
    contested: { ip: string; holders: { pod: string; since: string; adopted?: string }[] }[]
    damaged: unknown
    pools: unknown
  }
  assert.deepEqual(
    found.contested.map(({ ip, holders }) => [
      ip,
      holders.map(({ pod, since, adopted }) => [pod, since, adopted]),
    ]),
    [
      [
        '10.7.1.1',
        [
          ['race/a', '1970-01-01T00:00:00.001Z', undefined],
          ['race/b', '1970-01-01T00:00:00.001Z', 'endpoint'],
        ],
      ],
    ],
  )
  assert.deepEqual([found.damaged, found.pools], [[], []])
  const none = await conflicts([], [], ['--output=yaml'])
  assert.equal(none.code, 0)
  assert.equal(none.text.trim(), 'contested: []\ndamaged: []\npools: []')
})
