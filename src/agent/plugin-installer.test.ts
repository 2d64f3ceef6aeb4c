import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'
import { parseNetworkList } from '../cni/index.ts'
import { installPlugins, metaNetworkText, pluginNames } from './plugin-installer.ts'

void test('installPlugins() puts each plugin in place whole, the configuration last, and leaves equal files alone', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'install-'))
  try {
    const options = { source: join(dir, 'pipe'), binDir: join(dir, 'bin'), confDir: join(dir, 'net.d') }
    await assert.rejects(installPlugins(options), /Cannot install the plugins from .*pipe/)
    assert.deepEqual(readdirSync(join(dir, 'net.d')), [])
    writeFileSync(options.source, 'first')
    await installPlugins(options)
    assert.deepEqual(readdirSync(options.binDir).toSorted(), pluginNames.toSorted())
    assert.equal(statSync(join(options.binDir, 'spiderpool')).mode & 0o777, 0o755)
    const inode = () => statSync(join(options.binDir, 'spiderpool')).ino
    const first = inode()
    await installPlugins(options)
    assert.equal(inode(), first)
    writeFileSync(options.source, 'second')
    await installPlugins(options)
    assert.equal(readFileSync(join(options.binDir, 'ifacer'), 'utf8'), 'second')
    rmSync(options.confDir, { recursive: true })
    rmSync(join(options.binDir, 'ifacer'))
    mkdirSync(join(options.binDir, 'ifacer'))
    await assert.rejects(installPlugins(options))
    assert.deepEqual(readdirSync(options.confDir), [])
    assert.ok(!readdirSync(options.binDir).some((name) => name.endsWith('.tmp')))
  } finally {
    rmSync(dir, { recursive: true })
  }
})

void test('the configuration of the meta-plugin is a list of all versions from 0.3.1 on', () => {
  const list = parseNetworkList(metaNetworkText(), 'conf')
  assert.equal(list.cniVersion, '1.1.0')
  assert.ok(list.cniVersions.includes('0.3.1'))
  assert.deepEqual(list.plugins[0]?.capabilities, ['portMappings', 'bandwidth'])
})
