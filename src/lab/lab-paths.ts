import { join } from 'node:path'

/** The files of one lab. Nothing of it lives elsewhere, but for kernel objects that hang on `netns` files below it. */
export interface LabPaths {
  readonly dir: string
  /** Says that the folder is a lab's, so that it may be removed whole. */
  readonly marker: string
  readonly kubeconfig: string
  /** The controllers' own credentials: their token. */
  readonly controllerKubeconfig: string
  readonly controllerToken: string
  readonly state: string
  readonly lock: string
  /** What the machine's limits were before. */
  readonly oldLimits: string
  readonly pkiDir: string
  readonly apiserverDir: string
  readonly logsDir: string
  readonly nodesDir: string
  /** Network namespace of the virtual switch. */
  readonly switchNetns: string
}

/** The files of one node of the lab. */
export interface NodePaths {
  readonly dir: string
  readonly netns: string
  readonly cniBinDir: string
  readonly cniConfDir: string
  readonly cniCacheDir: string
  readonly journalDir: string
  readonly spoolDir: string
  readonly socket: string
  /** The agent's token for the controller. */
  readonly token: string
  /** The agent's token for the API server. */
  readonly apiToken: string
  /** The agent's own credentials: its token for the API server. */
  readonly kubeconfig: string
  readonly sandboxesDir: string
}

export function labPathsOf(dir: string): LabPaths {
  return {
    dir,
    marker: join(dir, '.spiderpool-lab'),
    kubeconfig: join(dir, 'kubeconfig'),
    controllerKubeconfig: join(dir, 'controller.kubeconfig'),
    controllerToken: join(dir, 'controller.token'),
    state: join(dir, 'state.json'),
    lock: join(dir, 'lock'),
    oldLimits: join(dir, 'old-limits.json'),
    pkiDir: join(dir, 'pki'),
    apiserverDir: join(dir, 'apiserver'),
    logsDir: join(dir, 'logs'),
    nodesDir: join(dir, 'nodes'),
    switchNetns: join(dir, 'switch.netns'),
  }
}

export function nodePathsOf(lab: LabPaths, node: string): NodePaths {
  const dir = join(lab.nodesDir, node)
  return {
    dir,
    netns: join(dir, 'netns'),
    cniBinDir: join(dir, 'cni', 'bin'),
    cniConfDir: join(dir, 'cni', 'net.d'),
    cniCacheDir: join(dir, 'cni', 'cache'),
    journalDir: join(dir, 'agent', 'journal'),
    spoolDir: join(dir, 'agent', 'spool'),
    socket: join(dir, 'agent.sock'),
    token: join(dir, 'token'),
    apiToken: join(dir, 'api-token'),
    kubeconfig: join(dir, 'kubeconfig'),
    sandboxesDir: join(dir, 'sandboxes'),
  }
}
