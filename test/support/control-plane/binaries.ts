// Where the programs of a real control plane come from: KUBEBUILDER_ASSETS, or test/control-plane/ built by the Go on PATH.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, symlinkSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'

const module = join(dirname(dirname(import.meta.dirname)), 'control-plane')

/** What a control plane is made of, and what tests drive it with. */
export const programs = [
  'etcd',
  'kube-apiserver',
  'kube-controller-manager',
  'kube-scheduler',
  'kubectl',
  'helm',
] as const

export type Program = (typeof programs)[number]

const buildBudgetMs = 45 * 60_000

/** Path of Go, when one is at hand. */
export function findGo(): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/local/go/bin', '/usr/lib/go/bin']
  return folders.map((folder) => join(folder, 'go')).find((path) => existsSync(path))
}

/** Why there can be no real API server here; undefined when there can. */
export function whyNoControlPlane(): string | undefined {
  const assets = process.env['KUBEBUILDER_ASSETS']
  if (assets !== undefined && assets !== '') {
    const missing = programs.filter((name) => !existsSync(join(assets, name)))
    if (missing.length === 0) return undefined
    return `KUBEBUILDER_ASSETS=${assets} lacks ${missing.join(', ')}: add them, or unset it to build all from test/control-plane`
  }
  if (existsSync(join(cacheFolder(), 'control-plane')) || findGo() !== undefined) return undefined
  return 'neither KUBEBUILDER_ASSETS is set nor a Go toolchain (1.26 or later) on PATH'
}

/** Folder of the built programs, named by what they are built from. */
function cacheFolder(): string {
  const hash = createHash('sha256')
  for (const file of ['main.go', 'go.mod', 'go.sum']) hash.update(readFileSync(join(module, file)))
  const cache = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache')
  const name = `${hash.digest('hex').slice(0, 16)}-${process.arch}`
  return join(cache, 'spiderpool', 'control-plane', name)
}

/**
 * The folder with every program of {@link programs}; builds them when they are not there yet.
 * @param report gets a line before and after a build, which takes minutes
 * @throws when they can be had in no way, or the build fails
 */
export function controlPlaneBinaries(report: (line: string) => void): string {
  const why = whyNoControlPlane()
  if (why !== undefined) throw new Error(`No real API server: ${why}`)
  const assets = process.env['KUBEBUILDER_ASSETS']
  if (assets !== undefined && assets !== '') return assets
  const folder = cacheFolder()
  const binary = join(folder, 'control-plane')
  if (!existsSync(binary)) build(binary, report)
  for (const name of programs) {
    if (!existsSync(join(folder, name))) symlinkSync('control-plane', join(folder, name))
  }
  return folder
}

/** Kubernetes' own builds write their version into the programs; clients and Helm ask for it. */
function versionFlags(): readonly string[] {
  const found = /k8s\.io\/kubernetes v((\d+)\.(\d+)\.\d+)/.exec(readFileSync(join(module, 'go.mod'), 'utf8'))
  const [, version = '', major = '', minor = ''] = found ?? []
  const values = { gitVersion: `v${version}`, gitMajor: major, gitMinor: minor, gitTreeState: 'clean' }
  return ['k8s.io/component-base/version', 'k8s.io/client-go/pkg/version'].flatMap((name) =>
    Object.entries(values).map(([key, value]) => `-X ${name}.${key}=${value}`),
  )
}

function build(binary: string, report: (line: string) => void): void {
  const startedMs = performance.now()
  report('building etcd, Kubernetes and Helm from test/control-plane (once; 10 minutes or more) ...')
  mkdirSync(dirname(binary), { recursive: true })
  const unfinished = `${binary}.${process.pid}`
  const flags = `-ldflags=-s -w ${versionFlags().join(' ')}`
  const run = spawnSync(findGo() ?? 'go', ['build', '-trimpath', flags, '-o', unfinished, '.'], {
    cwd: module,
    encoding: 'utf8',
    env: { ...process.env, CGO_ENABLED: '0', GOFLAGS: '-mod=readonly -buildvcs=false', GOTOOLCHAIN: 'local' },
    timeout: buildBudgetMs,
  })
  if (run.status !== 0) {
    const said = `${run.stdout ?? ''}${run.stderr ?? ''}`.slice(-4_000)
    throw new Error(`go build ended with ${run.status ?? run.signal}:\n${said}`)
  }
  renameSync(unfinished, binary)
  report(`built in ${((performance.now() - startedMs) / 60_000).toFixed(1)} minutes: ${binary}`)
}
