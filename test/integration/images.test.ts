// What the images and the packed command line hold, for both processors, and that the packed one runs. How the images start is in
// image-start.test.ts. Needs root (it runs as another user), npm, apt and compilers for both processors (installed when missing).
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { globSync, lstatSync, mkdtempSync, readFileSync, readlinkSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import test, { after, before } from 'node:test'
import { imageNames, packedCli } from '../../images/contents.ts'
import { emit } from '../../scripts/packing/emit.ts'
import { ownTarget, type Target, targets } from '../../scripts/packing/target.ts'
import { readStage } from '../support/images/dockerfile.ts'

const root = dirname(dirname(import.meta.dirname))
const scratch = mkdtempSync(join(tmpdir(), 'spiderpool-images-'))
const quiet = '--disable-warning=ExperimentalWarning'
const script = (name: string): string => join(root, 'scripts', name)

function folderOf(image: string, target: Target): string {
  return join(scratch, `${image}-${target.arch}`)
}

function filesIn(folder: string): readonly string[] {
  return globSync('**/*', { cwd: folder, withFileTypes: true })
    .filter((file) => !file.isDirectory())
    .map((file) => join(file.parentPath, file.name).slice(folder.length))
    .sort()
}

/** Programs and libraries among the files of an image. */
function machineCode(files: readonly string[]): readonly string[] {
  return files.filter((path) => /\.so(\.\d+)?$|\/koffi\.node$|^\/app\/(node|native\/.*)$/.test(path))
}

/** e_machine of an ELF file. */
function elfMachine(path: string): number {
  const header = readFileSync(path)
  assert.equal(header.subarray(0, 4).toString('latin1'), '\x7fELF', path)
  return header.readUInt16LE(18)
}

before(() => {
  for (const image of imageNames) {
    for (const target of targets) {
      const args = ['--image', image, '--arch', target.arch, '--rootfs', folderOf(image, target)]
      execFileSync(process.execPath, [quiet, script('build-images.ts'), ...args], {
        stdio: ['ignore', 'ignore', 2],
      })
    }
  }
})

after(() => rmSync(scratch, { recursive: true }))

void test('each image is its assembled root file system and nothing else', () => {
  const build = readStage(join(root, 'images/Dockerfile'), 'build').instructions.join('\n')
  for (const image of imageNames) {
    const stage = readStage(join(root, 'images/Dockerfile'), image)
    assert.equal(stage.from, 'scratch')
    const words = stage.instructions.map((line) => line.split(' ')[0])
    assert.deepEqual([...new Set(words)].sort(), ['COPY', 'ENTRYPOINT', 'ENV', 'LABEL', 'USER'])
    const copies = stage.instructions.filter((line) => line.startsWith('COPY'))
    assert.deepEqual(copies, [`COPY --from=build /rootfs/${image} /`])
    assert.match(build, new RegExp(`--image ${image} --arch "\\$TARGETARCH" --rootfs /rootfs/${image}$`, 'm'))
    for (const target of targets) {
      const [program = '', ...args] = stage.entrypoint
      assert.ok(statSync(join(folderOf(image, target), program)).mode & 0o111)
      const main = args.find((arg) => !arg.startsWith('--')) ?? ''
      assert.ok(statSync(join(folderOf(image, target), main)).isFile())
    }
  }
  assert.equal(readStage(join(root, 'images/Dockerfile'), 'controller').user, '65532:65532')
})

void test('the programs in an image are Node, the loader and, in the agent, the plugin: no shell', () => {
  for (const image of imageNames) {
    for (const target of targets) {
      const folder = folderOf(image, target)
      const programs = filesIn(folder).filter((path) => {
        const found = lstatSync(join(folder, path))
        return found.isFile() && (found.mode & 0o111) !== 0 && !path.includes('.so')
      })
      assert.deepEqual(programs, ['/app/node', ...(image === 'agent' ? ['/app/native/cni-pipe'] : [])].sort())
      assert.deepEqual(
        globSync(['**/{sh,bash,dash,busybox,env}', 'bin', 'usr/bin', 'sbin', 'usr/sbin'], { cwd: folder }),
        [],
      )
    }
  }
})

void test('no file of an image is another user’s, is set-uid, or can be written by all', () => {
  for (const image of imageNames) {
    const folder = folderOf(image, ownTarget)
    const found = globSync('**/*', { cwd: folder }).filter((path) => {
      const { mode, uid, gid } = lstatSync(join(folder, path))
      if ((mode & 0o170000) === 0o120000) return false
      return uid !== 0 || gid !== 0 || (mode & 0o6000) !== 0 || ((mode & 0o002) !== 0 && path !== 'tmp')
    })
    assert.deepEqual(found, [])
  }
})

void test('machine code is of the processor, and both processors have the same files', () => {
  for (const image of imageNames) {
    const lists = targets.map((target) => {
      const folder = folderOf(image, target)
      const files = filesIn(folder)
      const native = machineCode(files)
      assert.ok(native.length >= (image === 'agent' ? 12 : 10), native.join())
      for (const path of native) assert.equal(elfMachine(join(folder, path)), target.elfMachine, path)
      return files.map((path) =>
        path
          .replace(target.loader, '/LOADER')
          .replace(target.triple, 'TRIPLE')
          .replaceAll(new RegExp(`(linux[-_])${target.cpu}\\b`, 'g'), '$1CPU'),
      )
    })
    assert.deepEqual(lists[0], lists[1])
  }
})

void test('every library that machine code needs is in the image', () => {
  for (const image of imageNames) {
    for (const target of targets) {
      const folder = folderOf(image, target)
      const libraries = new Set(
        globSync(`lib/${target.triple}/*`, { cwd: folder }).map((p) => p.slice(p.lastIndexOf('/') + 1)),
      )
      libraries.add(target.loader.slice(target.loader.lastIndexOf('/') + 1))
      for (const path of machineCode(filesIn(folder))) {
        const header = execFileSync('readelf', ['--dynamic', join(folder, path)], { encoding: 'utf8' })
        const needed = [...header.matchAll(/\(NEEDED\).*\[(.*)\]/g)].map(([, name]) => name ?? '')
        assert.deepEqual(
          needed.filter((name) => !libraries.has(name)),
          [],
          path,
        )
      }
    }
  }
})

void test('the lab is in no image, and every package in one has its licence', () => {
  for (const image of imageNames) {
    const folder = folderOf(image, ownTarget)
    assert.deepEqual(globSync('app/lab', { cwd: folder }), [])
    assert.deepEqual(globSync('app/**/*.{ts,map}', { cwd: folder }), [])
    const files = filesIn(folder)
    const packages = files
      .filter((path) => /node_modules\/(@[^/]+\/)?[^/]+\/package\.json$/.test(path))
      .map(dirname)
    assert.ok(packages.length > 20)
    // The machine code of koffi is a package of its own, under the licence of koffi.
    const isLicence = (path: string): boolean => /\/licen[cs]e(\.\w+)?$/i.test(path)
    const licensed = new Set(files.filter(isLicence).map(dirname))
    assert.deepEqual(
      packages.filter((path) => !licensed.has(path.replace(/@koromix\/koffi-.*/, 'koffi'))),
      [],
    )
    assert.equal(readlinkSync(join(folder, 'var/run')), '../run')
  }
})

void test('a line of the JavaScript is the line of its source', () => {
  const { files } = emit(join(root, 'src'), packedCli.entries, packedCli.without)
  assert.ok(files.size > 300)
  for (const [path, text] of files) {
    const source = readFileSync(join(root, 'src', path.replace(/\.js$/, '.ts')), 'utf8')
    const [ours, theirs] = [text.split('\n'), source.split('\n')]
    assert.equal(ours.length, theirs.length, path)
    // Only types are gone: what is left stands in its column.
    ours.forEach((line, at) => {
      const wanted = theirs[at] ?? ''
      const moved = line.split('').findIndex((unit, column) => /\S/.test(unit) && unit !== wanted[column])
      // But for the ending of imports, and a semicolon where a blank would join two statements.
      const isFine = moved === -1 || line[moved] === ';' || /^\.js['"]/.test(line.slice(moved - 1))
      assert.ok(isFine, `${path}:${at + 1}:${moved + 1}: ${line}`)
    })
  }
})

void test('the packed command line runs from its archive, through a link, without Node on the machine', () => {
  execFileSync(process.execPath, [quiet, script('pack-cli.ts'), '--out', scratch], {
    stdio: ['ignore', 'ignore', 2],
  })
  const [archive = ''] = globSync('spiderpoolctl-*.tar.gz', { cwd: scratch })
  assert.match(archive, new RegExp(`^spiderpoolctl-\\d+\\.\\d+\\.\\d+-linux-${ownTarget.arch}\\.tar\\.gz$`))
  const machine = join(scratch, 'machine')
  execFileSync('mkdir', [machine])
  execFileSync('tar', ['-xzf', join(scratch, archive), '-C', machine])
  const link = join(machine, 'spiderpoolctl')
  execFileSync('ln', ['-s', join(archive.replace('.tar.gz', ''), 'spiderpoolctl'), link])
  const run = (...args: readonly string[]) =>
    spawnSync(link, args, { encoding: 'utf8', env: { PATH: '/usr/bin:/bin' }, uid: 65534, gid: 65534 })
  execFileSync('chmod', ['755', scratch])
  const help = run('--help')
  assert.equal(help.status, 0, help.stderr)
  assert.match(help.stdout, /^Usage: spiderpoolctl COMMAND/)
  // The lab is in it: it is read, and finds none running.
  const status = run('lab', 'status', '--dir', join(machine, 'none'))
  assert.equal(status.status, 1, status.stderr)
  assert.match(status.stdout + status.stderr, /no lab/i)
})

void test('a lab comes up and goes down by the packed command line alone', () => {
  const link = join(scratch, 'machine/spiderpoolctl')
  const dir = join(scratch, 'lab')
  const lab = (...args: readonly string[]) =>
    spawnSync(link, ['lab', ...args, '--dir', dir], {
      encoding: 'utf8',
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
      timeout: 120_000,
    })
  const up = lab('up', '--nodes', 'node-a')
  const status = lab('status')
  const down = lab('down')
  assert.equal(up.status, 0, up.stderr)
  assert.equal(status.status, 0, status.stdout)
  assert.match(status.stdout, /agent-node-a/)
  assert.equal(down.status, 0, down.stderr)
})
