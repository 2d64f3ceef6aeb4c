import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { InvalidInputError, silentLogger } from '../base/index.ts'
import { findDefaultNetworkList, findNetworkList, parseNetworkList } from './network-list.ts'

const parse = (value: unknown) =>
  parseNetworkList(typeof value === 'string' ? value : JSON.stringify(value), 'file')
const plugins = [{ type: 'a' }]

void test('a list and a single plugin are read; what the cache keeps is complete by itself', () => {
  const list = parse({
    cniVersion: '1.0.0',
    name: 'n',
    plugins: [{ type: 'a', ipam: { type: 'i' } }],
    disableCheck: 'true',
  })
  assert.deepEqual([list.disableCheck, list.disableGc, list.plugins[0]?.ipamType], [true, false, 'i'])
  const single = parse('{"cniVersion":"0.3.1","name":"n","type":"a","big":12345678901234567890}')
  assert.equal(
    single.text,
    '{"cniVersion":"0.3.1","name":"n","plugins":[{"cniVersion":"0.3.1","name":"n","type":"a","big":12345678901234567890}]}',
  )
  assert.deepEqual(parse(single.text).plugins[0]?.type, 'a')
})

const refused: readonly (readonly [string, unknown])[] = [
  ['file', '{'],
  ['file', '[]'],
  ['file: name', { cniVersion: '1.0.0', plugins }],
  ['file: name', { cniVersion: '1.0.0', name: '../n', plugins }],
  ['file: plugins', { cniVersion: '1.0.0', name: 'n', plugins: [] }],
  ['file: plugins', { cniVersion: '1.0.0', name: 'n', plugins: {} }],
  [
    'file: plugins',
    { cniVersion: '1.0.0', name: 'n', plugins: Array.from({ length: 65 }, () => plugins[0]) },
  ],
  ['file: plugins[1]', { cniVersion: '1.0.0', name: 'n', plugins: [...plugins, 5] }],
  ['file: plugins[1]: type', { cniVersion: '1.0.0', name: 'n', plugins: [...plugins, {}] }],
  ['file: plugins[0]: type', { cniVersion: '1.0.0', name: 'n', plugins: [{ type: '../sh' }] }],
  [
    'file: plugins[0]: capabilities',
    { cniVersion: '1.0.0', name: 'n', plugins: [{ type: 'a', capabilities: [] }] },
  ],
  ['file: type', { cniVersion: '1.0.0', name: 'n' }],
  ['file: cniVersion', { cniVersion: 1, name: 'n', plugins }],
  ['file: cniVersions', { cniVersion: '1.0.0', cniVersions: 'x', name: 'n', plugins }],
  ['file: cniVersions[0]', { cniVersion: '1.0.0', cniVersions: ['x'], name: 'n', plugins }],
  ['file: disableGC', { cniVersion: '1.0.0', name: 'n', plugins, disableGC: 1 }],
]

void test('a bad list is refused by field, value and remedy', () => {
  for (const [field, value] of refused)
    assert.throws(
      () => parse(value),
      (error) => {
        assert.ok(error instanceof InvalidInputError)
        assert.ok(error.message.startsWith(`Cannot accept ${field} `), error.message)
        assert.notEqual(error.hint, '')
        return true
      },
    )
})

void test('a folder is searched for lists first, bad files are passed over, and plugins of a subfolder are appended', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'confs-'))
  try {
    const write = (name: string, value: unknown) => {
      writeFileSync(join(dir, name), typeof value === 'string' ? value : JSON.stringify(value))
    }
    assert.equal(await findDefaultNetworkList(join(dir, 'none')), undefined)
    write('00-broken.conflist', '{')
    write('10-single.conf', { cniVersion: '1.0.0', name: 'n', type: 'single' })
    write('20-list.conflist', {
      cniVersion: '1.0.0',
      name: 'n',
      plugins: [{ type: 'list' }],
      loadOnlyInlinedPlugins: false,
    })
    mkdirSync(join(dir, 'n'))
    write('n/5.conf', { type: 'more' })
    const found = await findNetworkList(dir, 'n', silentLogger)
    assert.deepEqual(
      found?.plugins.map((plugin) => plugin.type),
      ['list', 'more'],
    )
    assert.deepEqual(parse(found?.text ?? '').plugins.length, 2)
    assert.equal(await findNetworkList(dir, 'other', silentLogger), undefined)
    await assert.rejects(findDefaultNetworkList(dir), InvalidInputError)
    write('00-broken.conflist', '{"name": "n", ')
    await assert.rejects(findNetworkList(dir, 'n', silentLogger), /00-broken.conflist/)
  } finally {
    rmSync(dir, { recursive: true })
  }
})
