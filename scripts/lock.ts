// `npm run lock`: writes package-lock.json again after package.json changed, fit for every machine that will read it.
// - A platform package that the registry at hand does not have is missing in what npm writes, and then `npm ci` refuses the file
//   everywhere: it is added by name and version.
// - `engines` are left out: packages run on the Node that the project pins, but npm would hold them against the Node that starts
//   the installation, and silently skip optional ones.
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

interface Package {
  version?: string
  dev?: boolean
  optional?: boolean
  os?: string[]
  cpu?: string[]
  libc?: string[]
  engines?: unknown
  optionalDependencies?: Record<string, string>
}

const root = dirname(import.meta.dirname)
const file = join(root, 'package-lock.json')
const systems = ['android', 'darwin', 'freebsd', 'linux', 'openharmony', 'openbsd', 'win32']
const processors = ['arm64', 'x64', 'ia32', 'arm', 'ppc64', 'riscv64', 's390x', 'loong64']

/** What a platform package's name says of its platform. */
function platformOf(name: string): Package {
  const words = name.split(/[/-]/)
  const os = systems.filter((system) => words.includes(system))
  const cpu = processors.filter((processor) => words.includes(processor))
  const libc = words.some((word) => word.startsWith('musl'))
    ? ['musl']
    : words.some((word) => word.startsWith('gnu'))
      ? ['glibc']
      : []
  return {
    ...(os.length > 0 ? { os } : {}),
    ...(cpu.length > 0 ? { cpu } : {}),
    ...(libc.length > 0 ? { libc } : {}),
  }
}

const run = spawnSync('npm', ['install', '--package-lock-only', '--ignore-scripts'], {
  cwd: root,
  stdio: 'inherit',
})
if (run.status !== 0) process.exit(run.status ?? 1)
const lock = JSON.parse(readFileSync(file, 'utf8')) as { packages: Record<string, Package> }
const packages = new Map(Object.entries(lock.packages))
for (const [path, info] of Object.entries(lock.packages)) {
  if (path !== '') delete info.engines
  for (const [name, version] of Object.entries(info.optionalDependencies ?? {})) {
    const key = `node_modules/${name}`
    if (packages.has(key)) continue
    const dev = info.dev === true ? { dev: true } : {}
    packages.set(key, { version, optional: true, ...dev, ...platformOf(name) })
    process.stdout.write(`added ${name}@${version}, which this registry does not have\n`)
  }
}
const sorted = [...packages].sort(([a], [b]) => (a < b ? -1 : 1))
writeFileSync(file, `${JSON.stringify({ ...lock, packages: Object.fromEntries(sorted) }, undefined, 2)}\n`)
