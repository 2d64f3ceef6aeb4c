// Entry of every npm script. Plain JavaScript for any Node from 18 on, without dependencies: it installs the
// project's packages when the lock file changed, then runs the given TypeScript file on the Node that the project pins.
// Usage: node scripts/bootstrap.mjs FILE.ts [arguments]
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, realpathSync, writeFileSync } from 'node:fs'
import { constants } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const modules = join(root, 'node_modules')
const stampFile = join(modules, '.spiderpool-lock-sha256')
const pinned = join(modules, `node-linux-${process.arch}`, 'bin', 'node')

function fail(message) {
  process.stderr.write(`spiderpool: ${message}\n`)
  process.exit(1)
}

/** The npm that was not installed by us, run by a Node that `npm ci` will not delete under its feet. */
function systemNpm() {
  const outside = (file) => file && existsSync(file) && !realpathSync(file).startsWith(modules)
  const { npm_node_execpath: node, npm_execpath: npm } = process.env
  if (outside(node) && outside(npm)) return [node, [npm]]
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    if (folder !== '' && outside(join(folder, 'npm')) && !folder.startsWith(modules))
      return [join(folder, 'npm'), []]
  }
  return fail(
    'npm was not found on PATH: install it (Debian and Ubuntu: apt-get install npm), then run this again',
  )
}

/** A running lab executes files below node_modules: replacing them would break it half way. */
function labIsRunning() {
  const state = join(process.env.SPIDERPOOL_LAB_DIR ?? '/var/lib/spiderpool-lab', 'state.json')
  try {
    const pids = readFileSync(state, 'utf8').matchAll(/"pid"\s*:\s*(\d+)/g)
    return [...pids].some(([, pid]) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(root)
      } catch {
        return false
      }
    })
  } catch {
    return false
  }
}

function install() {
  const lock = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex')
  const stamp = existsSync(stampFile) ? readFileSync(stampFile, 'utf8') : ''
  if (stamp === lock && existsSync(pinned)) return
  if (labIsRunning()) {
    fail(
      'the packages changed while a lab runs from this folder: stop it first with "npm run -s spiderpoolctl -- lab down"',
    )
  }
  process.stderr.write('spiderpool: installing packages (npm ci) ...\n')
  const [command, first] = systemNpm()
  const path = (process.env.PATH ?? '').split(delimiter).filter((folder) => !folder.startsWith(modules))
  const env = { ...process.env, PATH: path.join(delimiter) }
  const args = [...first, 'ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']
  const done = spawnSync(command, args, { cwd: root, stdio: ['ignore', 2, 2], env })
  if (done.status !== 0)
    fail(`"npm ci" failed with status ${done.status ?? done.signal}: see its messages above`)
  if (!existsSync(pinned)) {
    fail(
      `no Node is packaged for linux/${process.arch}: the product runs on linux x64 and arm64 (missing ${pinned})`,
    )
  }
  writeFileSync(stampFile, lock)
}

const [file, ...rest] = process.argv.slice(2)
if (process.platform !== 'linux') fail(`runs on Linux only; this is ${process.platform}`)
if (file === undefined) fail('usage: node scripts/bootstrap.mjs FILE.ts [arguments]')
if (Number(process.versions.node.split('.')[0]) < 18)
  fail(`Node 18 or later is needed to start; this is ${process.version}`)
install()
const child = spawn(pinned, ['--disable-warning=ExperimentalWarning', join(root, file), ...rest], {
  stdio: 'inherit',
})
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
child.on('error', (error) => fail(`the packaged Node cannot run: ${error.message}`))
child.on('exit', (status, signal) => process.exit(status ?? 128 + (constants.signals[signal] ?? 1)))
