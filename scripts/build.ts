// `npm run build`: JavaScript of the whole product into build/js, and the native programs. Nothing in the repository runs it;
// it is what the images and the packed command line hold, to look at or to start by hand.
import { rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { packedCli } from '../images/contents.ts'
import { manifest } from './packing/assemble.ts'
import { emit } from './packing/emit.ts'
import { writeEntries } from './packing/entry.ts'
import { nativePrograms } from './packing/native.ts'
import { ownTarget } from './packing/target.ts'
import { setUpCompilers } from './setup.ts'

const root = dirname(import.meta.dirname)
const folder = join(root, 'build/js')
const { files } = emit(join(root, 'src'), packedCli.entries, packedCli.without)
setUpCompilers([ownTarget])
rmSync(folder, { recursive: true, force: true })
writeEntries(folder, [
  { kind: 'text', path: 'package.json', mode: 0o644, text: manifest(root) },
  ...[...files].map(([path, text]) => ({ kind: 'text', path, mode: 0o644, text }) as const),
])
writeEntries(
  join(folder, 'native'),
  packedCli.native.map((name) => ({
    kind: 'copy',
    path: name,
    mode: 0o755,
    from: join(nativePrograms(root, ownTarget), name),
  })),
)
console.log(`wrote ${files.size} files to build/js`)
