import { extname, join } from 'node:path'
import type { LabPaths } from '../lab-paths.ts'
import { nodePathsOf } from '../lab-paths.ts'
import type { ChildSpec } from './child.ts'

/** Folder of this code: `src/` of the repository, or JavaScript made from it, as images and the packed command line have. */
const codeFolder = join(import.meta.dirname, '../..')
const extension = extname(import.meta.filename)
/** Folder of what is built from the sources; where there are none it was built before. */
const buildFolder = extension === '.ts' ? join(codeFolder, '../build') : codeFolder
/** Builds the native programs; there only beside sources. */
export const nativeBuildScript: string = join(codeFolder, '../scripts/build-native.sh')

export function binScript(name: string): string {
  return join(codeFolder, 'bin', `${name}${extension}`)
}

export function nativeProgram(name: string): string {
  return join(buildFolder, 'native', name)
}

/** Variables by which `lab down` finds processes of a lab, whatever became of their parents. */
export const labDirVariable = 'SPIDERPOOL_LAB_DIR'
export const labProcessVariable = 'SPIDERPOOL_LAB_PROCESS'
/** Network of the first NIC of pods that name none. */
/** Network of the first NIC of pods that name none. */
export const defaultNetwork = 'kube-system/macvlan-ens192'
/** Where Debian puts the plugins of the CNI project. */
export const debianPluginsDir = '/usr/lib/cni'
export const systemNamespace = 'kube-system'

/** What the processes of one lab need to know of each other. */
export interface LabProgram {
  readonly paths: LabPaths
  readonly nodes: readonly string[]
  readonly kubeconfig: string
  readonly isExternal: boolean
  readonly apiPort: number
  /** One for each replica of the controller. */
  readonly controllerPorts: readonly number[]
  readonly controllerFlags: readonly string[]
}

// Erasing the types of a source takes an engine of 30 MB that stays in the process. With its code in the cache, a process
// never loads it. Beside the native programs: it belongs to this source, not to one lab.
const compileCache = join(buildFolder, 'compile-cache')

/** How the product's daemons are run, for memory (docs/performance.md). */
const daemonFlags: Readonly<Record<'controller' | 'agent', readonly string[]>> = {
  // The heap may grow by a fifth before garbage is looked for, instead of two to four times.
  controller: ['--max-semi-space-size=4', '--heap-growing-percent=20', '--always-sparkplug'],
  agent: ['--max-semi-space-size=1', '--heap-growing-percent=20', '--always-sparkplug'],
}
/** Of glibc: large buffers go back to the system when freed, and threads share two arenas. */
const daemonMalloc = { MALLOC_ARENA_MAX: '2', MALLOC_MMAP_THRESHOLD_: '131072' }

/** Runs that compile the daemons into the cache, and end by themselves. */
export function warmUps(): readonly Pick<ChildSpec, 'args' | 'env'>[] {
  return (['controller', 'agent'] as const).map((name) => ({
    args: [...daemonFlags[name], binScript(name), '--help'],
    env: { ...process.env, NODE_COMPILE_CACHE: compileCache },
  }))
}

function childSpec(lab: LabProgram, name: string, script: string, args: readonly string[]): ChildSpec {
  const isDaemon = script === 'controller' || script === 'agent'
  return {
    name,
    args: [...(isDaemon ? daemonFlags[script] : []), binScript(script), ...args],
    env: {
      ...process.env,
      [labDirVariable]: lab.paths.dir,
      [labProcessVariable]: name,
      SPIDERPOOL_NAMESPACE: systemNamespace,
      MULTUS_CLUSTER_NETWORK: defaultNetwork,
      NODE_COMPILE_CACHE: compileCache,
      ...(isDaemon ? daemonMalloc : {}),
    },
    logFile: join(lab.paths.logsDir, `${name}.log`),
  }
}

export function apiserverSpec(lab: LabProgram): ChildSpec {
  const args = ['--dir', lab.paths.dir, '--port', String(lab.apiPort)]
  return childSpec(lab, 'lab-apiserver', 'lab-apiserver', args)
}

const controllerUrl = (port: number): string => `https://127.0.0.1:${port}`

/** All replicas of the controller: `controller`, `controller-2`, ... */
export function controllerSpecs(lab: LabProgram): readonly ChildSpec[] {
  return lab.controllerPorts.map((port, index) =>
    controllerSpec(lab, index === 0 ? 'controller' : `controller-${index + 1}`, port),
  )
}

function controllerSpec(lab: LabProgram, name: string, port: number): ChildSpec {
  return childSpec(lab, name, 'controller', [
    ...['--kubeconfig', lab.paths.controllerKubeconfig],
    ...['--identity', name],
    ...['--listen', `127.0.0.1:${port}`],
    ...['--namespace', systemNamespace],
    ...['--webhook-url', controllerUrl(port)],
    ...['--cluster-network', defaultNetwork],
    ...lab.controllerFlags,
  ])
}

export function agentSpec(lab: LabProgram, node: string): ChildSpec {
  const paths = nodePathsOf(lab.paths, node)
  return childSpec(lab, `agent-${node}`, 'agent', [
    ...['--node', node],
    ...['--kubeconfig', paths.kubeconfig],
    ...lab.controllerPorts.flatMap((port) => ['--controller-url', controllerUrl(port)]),
    ...['--token-file', paths.token],
    ...['--socket', paths.socket],
    ...['--spool-dir', paths.spoolDir],
    ...['--journal-dir', paths.journalDir],
    ...['--cni-bin-dir', paths.cniBinDir],
    ...['--cni-conf-dir', paths.cniConfDir],
    ...['--cache-dir', paths.cniCacheDir],
    ...['--host-netns', paths.netns],
    ...['--plugin-source', nativeProgram('cni-pipe')],
    ...['--plugin-path', debianPluginsDir],
    ...['--cluster-network', defaultNetwork],
    ...['--namespace', systemNamespace],
  ])
}

export function worldSpec(lab: LabProgram): ChildSpec {
  return childSpec(lab, 'lab-world', 'lab-world', [
    ...['--dir', lab.paths.dir],
    ...['--kubeconfig', lab.kubeconfig],
    ...['--nodes', lab.nodes.join(',')],
    ...(lab.isExternal ? ['--external'] : []),
  ])
}
