// What the product and its tests need from the machine, installed where that is possible, named where it is not.
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { ownTarget, type Target } from './packing/target.ts'

const root = dirname(import.meta.dirname)

interface Need {
  readonly what: string
  readonly isThere: () => boolean
  readonly packages: readonly string[]
}

const isOnPath = (name: string): boolean =>
  [...(process.env['PATH'] ?? '').split(':'), '/usr/sbin', '/sbin'].some(
    (folder) => folder !== '' && existsSync(join(folder, name)),
  )
const kubectl = (): boolean => process.env['KUBECTL'] !== undefined || isOnPath('kubectl')

const ownCompiler: Need = {
  what: 'a C compiler with a static C library',
  isThere: () => isOnPath('cc') && existsSync('/usr/include/stdio.h'),
  packages: ['gcc', 'libc6-dev'],
}

function crossCompiler({ arch, triple }: Target): Need {
  return {
    what: `a C compiler for ${arch}, with a static C library`,
    isThere: () => isOnPath(`${triple}-gcc`) && existsSync(`/usr/${triple}/include/stdio.h`),
    packages: [`gcc-${triple.replaceAll('_', '-')}`, `libc6-dev-${arch}-cross`],
  }
}

const needs: readonly Need[] = [
  {
    what: 'the CNI plugins (macvlan and others)',
    isThere: () => existsSync('/usr/lib/cni/macvlan') || existsSync('/opt/cni/bin/macvlan'),
    packages: ['containernetworking-plugins'],
  },
  { what: 'ip', isThere: () => isOnPath('ip'), packages: ['iproute2'] },
  { what: 'nsenter', isThere: () => isOnPath('nsenter'), packages: ['util-linux'] },
  { what: 'ping', isThere: () => isOnPath('ping'), packages: ['iputils-ping'] },
  { what: 'nft', isThere: () => isOnPath('nft'), packages: ['nftables'] },
  { what: 'kubectl', isThere: kubectl, packages: ['kubernetes-client'] },
  ownCompiler,
]

/**
 * Installs what is missing (as root on Debian or Ubuntu) and builds the native programs.
 * Ends the process with a message that says exactly what to install when it cannot.
 */
export function setUpMachine(): void {
  setUp(needs)
  const built = spawnSync(join(root, 'scripts/build-native.sh'), [], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  if (built.status !== 0) fail('the native programs were not built: see the compiler messages above')
}

/** Installs what building native programs for processors takes, in the same way. */
export function setUpCompilers(targets: readonly Target[]): void {
  setUp(targets.map((target) => (target.arch === ownTarget.arch ? ownCompiler : crossCompiler(target))))
}

function setUp(needed: readonly Need[]): void {
  const missing = needed.filter(({ isThere }) => !isThere())
  if (missing.length > 0) install(missing)
}

function install(missing: readonly Need[]): void {
  const packages = [...new Set(missing.flatMap((need) => need.packages))]
  const names = missing.map(({ what }) => what).join(', ')
  const command = `apt-get install -y --no-install-recommends ${packages.join(' ')}`
  if (!isDebian())
    fail(`missing: ${names}. Install what your system calls ${packages.join(', ')}, then run this again`)
  if (process.getuid?.() !== 0) fail(`missing: ${names}. As root: ${command}`)
  process.stdout.write(`installing ${packages.join(' ')} (for ${names})\n`)
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  spawnSync('apt-get', ['update', '-qq'], { stdio: 'ignore', env })
  const run = spawnSync('sh', ['-c', command], { encoding: 'utf8', env })
  const still = missing.filter(({ isThere }) => !isThere())
  if (run.status !== 0 || still.length > 0) {
    const left = still.map(({ what }) => what).join(', ')
    fail(
      `could not install ${left === '' ? names : left}:\n${run.stdout.slice(-2_000)}${run.stderr.slice(-2_000)}\nTry: ${command}`,
    )
  }
}

function isDebian(): boolean {
  try {
    return (
      /^(ID|ID_LIKE)=.*(debian|ubuntu)/m.test(readFileSync('/etc/os-release', 'utf8')) && isOnPath('apt-get')
    )
  } catch {
    return false
  }
}

function fail(message: string): never {
  process.stderr.write(`spiderpool: ${message}\n`)
  process.exit(1)
}
