// What each image holds, and the packed command line. The Dockerfile and the assembly without an engine both build from this.

/** What of the product goes into something that is shipped. */
export interface Contents {
  /** Programs and workers below src/; what they import comes with them. */
  readonly entries: readonly string[]
  /** Rooms that stay out; what imports one does so lazily and says that it is not there. */
  readonly without: readonly string[]
  /** Programs of native/, built for the processor. */
  readonly native: readonly string[]
}

/** Names of the images; each is a target of the Dockerfile. */
export const imageNames = ['controller', 'agent'] as const
/** One of {@link imageNames}. */
export type ImageName = (typeof imageNames)[number]

export const images: Readonly<Record<ImageName, Contents>> = {
  controller: { entries: ['bin/controller.ts', 'bin/spiderpoolctl.ts'], without: ['lab'], native: [] },
  agent: { entries: ['bin/agent.ts'], without: ['lab'], native: ['cni-pipe'] },
}

/** The command line for another machine, with the lab. */
export const packedCli: Contents = {
  entries: [
    'bin/spiderpoolctl.ts',
    'bin/controller.ts',
    'bin/agent.ts',
    'bin/lab-supervisor.ts',
    'bin/lab-apiserver.ts',
    'bin/lab-world.ts',
    'lab/apiserver/store/journal-worker.ts',
  ],
  without: [],
  native: ['cni-pipe', 'lab-pause'],
}

/** Packages of Debian that an image takes libraries of: those of Node and of the plugins that the agent executes. */
export const libraries: Readonly<Record<string, readonly string[]>> = {
  libc6: ['libc.so.6', 'libm.so.6', 'libdl.so.2', 'libpthread.so.0', 'librt.so.1', 'libresolv.so.2'],
  'libstdc++6': ['libstdc++.so.6'],
  'libgcc-s1': ['libgcc_s.so.1'],
}

/** What the C library reads. Names are looked up in /etc/hosts, then by DNS. */
export const etcFiles: Readonly<Record<string, string>> = {
  '/etc/passwd': 'root:x:0:0:root:/:/app/node\nspiderpool:x:65532:65532:spiderpool:/:/app/node\n',
  '/etc/group': 'root:x:0:\nspiderpool:x:65532:\n',
  '/etc/nsswitch.conf': 'passwd: files\ngroup: files\nhosts: files dns\n',
}

/** Folders that a runtime mounts on. */
export const folders: Readonly<Record<string, number>> = {
  '/dev': 0o755,
  '/proc': 0o555,
  '/sys': 0o555,
  '/run': 0o755,
  '/tmp': 0o1777,
  '/etc': 0o755,
}
