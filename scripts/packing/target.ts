// Processors that the product is built for, and what each tool calls them.

/** What differs between processors. */
export interface Target {
  /** As Docker, Go and Debian say. */
  readonly arch: 'amd64' | 'arm64'
  /** As Node and npm say. */
  readonly cpu: 'x64' | 'arm64'
  readonly triple: string
  /** Where programs expect the loader of shared libraries. */
  readonly loader: string
  /** Value of e_machine in an ELF header. */
  readonly elfMachine: number
}

const amd64: Target = {
  arch: 'amd64',
  cpu: 'x64',
  triple: 'x86_64-linux-gnu',
  loader: '/lib64/ld-linux-x86-64.so.2',
  elfMachine: 62,
}
const arm64: Target = {
  arch: 'arm64',
  cpu: 'arm64',
  triple: 'aarch64-linux-gnu',
  loader: '/lib/ld-linux-aarch64.so.1',
  elfMachine: 183,
}

/** All of them. */
export const targets: readonly Target[] = [amd64, arm64]

/** The processor of this machine. */
export const ownTarget: Target = process.arch === 'arm64' ? arm64 : amd64

/** @throws when there is no such target */
export function targetOf(arch: string): Target {
  const found = targets.find((target) => target.arch === arch)
  if (found === undefined)
    throw new Error(`--arch "${arch}": give ${targets.map((t) => t.arch).join(' or ')}`)
  return found
}
