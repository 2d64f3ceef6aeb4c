// `npm run pack:cli`: spiderpoolctl with its Node, as an archive for another machine.
//   --arch amd64|arm64   one of them (that of this machine)
//   --out DIR            where the archive goes (build)
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { packedCli } from '../images/contents.ts'
import { productEntries } from './packing/assemble.ts'
import { writeEntries } from './packing/entry.ts'
import { ownTarget, targetOf } from './packing/target.ts'
import { setUpCompilers } from './setup.ts'

const root = dirname(import.meta.dirname)
const { values } = parseArgs({ options: { arch: { type: 'string' }, out: { type: 'string' } } })
const target = values.arch === undefined ? ownTarget : targetOf(values.arch)
setUpCompilers([target])
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }
const name = `spiderpoolctl-${version}-linux-${target.arch}`
const archive = join(resolve(values.out ?? join(root, 'build')), `${name}.tar.gz`)
// Through a link on PATH too.
const launcher = `#!/bin/sh
here=$(dirname "$(readlink -f "$0")")
exec "$here/node" "$here/bin/spiderpoolctl.js" "$@"
`

const scratch = mkdtempSync(join(tmpdir(), 'spiderpoolctl-pack-'))
try {
  writeEntries(scratch, [
    { kind: 'text', path: `${name}/spiderpoolctl`, mode: 0o755, text: launcher },
    ...productEntries(root, packedCli, target, name),
  ])
  const options = ['--sort=name', '--owner=0', '--group=0', '--numeric-owner', '--mtime=@0', '-I', 'gzip -6n']
  execFileSync('tar', [...options, '-C', scratch, '-cf', archive, name])
} finally {
  rmSync(scratch, { recursive: true })
}
console.log(`wrote ${archive} (${(statSync(archive).size / 1e6).toFixed(1)} MB)`)
