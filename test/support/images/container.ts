// Runs an image's root file system as a container runtime does, with what util-linux has: namespaces for mounts, processes and the
// host's name, the file system read-only, /proc and a few devices, the mounts of a pod, the user and the capabilities asked for.
// The network is the machine's, as both daemons have it in a cluster.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** A file or folder of the machine inside the container. */
export interface Mount {
  readonly from: string
  readonly path: string
  readonly access: 'read' | 'write'
}

export interface ContainerOptions {
  readonly rootfs: string
  /** Network namespace; absent: the machine's. */
  readonly netns?: string
  /** `UID:GID`. */
  readonly user: string
  readonly hostname: string
  /** Program and arguments. */
  readonly command: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly mounts: readonly Mount[]
  /** Such as `net_admin`; none of others. */
  readonly capabilities: readonly string[]
}

/** A started container. */
export interface Container {
  /** Of the program, as the machine sees it. */
  readonly pid: number
  /** Both streams of it so far. */
  output(): string
  /** Resolves with its exit code. */
  readonly ended: Promise<number>
  /** Sends SIGTERM and waits. */
  stop(): Promise<number>
}

const lookEveryMs = 20
const startBudgetMs = 10_000

/** Starts a program in a container; resolves when the program runs. */
export async function startContainer(options: ContainerOptions): Promise<Container> {
  const scratch = mkdtempSync(join(tmpdir(), 'spiderpool-container-'))
  const namespaces = ['--mount', '--propagation=slave', '--pid', '--uts', '--ipc', '--fork', '--kill-child']
  const unshare = ['unshare', ...namespaces, 'sh', '-eu', '-c', scriptOf(scratch, options)]
  const enter = options.netns === undefined ? [] : ['nsenter', `--net=${options.netns}`]
  const [program = '', ...args] = [...enter, ...unshare]
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8')
    stream.on('data', (text: string) => {
      output += text
    })
  }
  const ended = once(child, 'close').then(([code]) => {
    rmSync(scratch, { recursive: true, force: true })
    return typeof code === 'number' ? code : -1
  })
  const pid = await programOf(child, options.command[0] ?? '').catch(async (error: unknown) => {
    child.kill('SIGKILL')
    await ended
    throw new Error(`the container did not start:\n${output}`, { cause: error })
  })
  return {
    pid,
    output: () => output,
    ended,
    stop: () => {
      if (child.exitCode === null && child.signalCode === null) process.kill(pid, 'SIGTERM')
      return ended
    },
  }
}

/** The one child of `unshare`, once it executes the program instead of the script. */
async function programOf(child: ChildProcess, program: string): Promise<number> {
  const endMs = performance.now() + startBudgetMs
  while (performance.now() < endMs && child.exitCode === null) {
    const children = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8')
    const pid = Number(children.trim().split(' ')[0])
    if (pid > 0 && readFileSync(`/proc/${pid}/cmdline`, 'utf8').startsWith(`${program}\0`)) return pid
    await sleep(lookEveryMs)
  }
  throw new Error(`${program} does not run`)
}

const quote = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`

function scriptOf(scratch: string, options: ContainerOptions): string {
  const at = join(scratch, 'disk/root')
  const devices = ['null', 'zero', 'full', 'random', 'urandom']
  const kept = ['sys_chroot', 'setuid', 'setgid', ...options.capabilities]
  const capabilities = `-all,${[...new Set(kept)].map((name) => `+${name}`).join(',')}`
  const env = Object.entries(options.env).map(([name, value]) => quote(`${name}=${value}`))
  return [
    `mkdir ${scratch}/disk && mount -t tmpfs tmpfs ${scratch}/disk`,
    `mkdir ${scratch}/disk/upper ${scratch}/disk/work ${at}`,
    `mount -t overlay -o lowerdir=${quote(options.rootfs)},upperdir=${scratch}/disk/upper,workdir=${scratch}/disk/work overlay ${at}`,
    `mount -t proc -o nosuid,nodev,noexec proc ${at}/proc`,
    `mount -t tmpfs -o mode=755,size=64k tmpfs ${at}/dev`,
    ...devices.map((name) => `touch ${at}/dev/${name} && mount --bind /dev/${name} ${at}/dev/${name}`),
    ...options.mounts.flatMap((mount) => mountLines(at, mount)),
    `mount -o remount,ro ${at}`,
    `echo ${quote(options.hostname)} >/proc/sys/kernel/hostname`,
    'PATH=$PATH:/usr/sbin:/sbin; setpriv=$(command -v setpriv); chroot=$(command -v chroot)',
    [
      `exec env -i ${env.join(' ')} "$setpriv" --no-new-privs --inh-caps=-all --bounding-set=${capabilities}`,
      `"$chroot" --userspec=${options.user} --groups= ${at} ${options.command.map(quote).join(' ')}`,
    ].join(' '),
  ].join('\n')
}

function mountLines(at: string, { from, path, access }: Mount): readonly string[] {
  const target = quote(join(at, path))
  const place = statSync(from).isDirectory()
    ? `mkdir -p ${target}`
    : `mkdir -p "$(dirname ${target})" && touch ${target}`
  const readOnly = access === 'read' ? [`mount -o remount,bind,ro ${target}`] : []
  return [place, `mount --rbind ${quote(from)} ${target}`, ...readOnly]
}
