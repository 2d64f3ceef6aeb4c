// Runs programs by bench/native/launch.c, which costs little itself, and gives what each start took.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { endianness, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

const root = dirname(dirname(import.meta.dirname))
const source = join(root, 'bench/native/launch.c')
const folder = join(root, 'build/bench')

/** One start of a program. */
export interface Call {
  /** Path of the program, which is its first argument too. */
  readonly file: string
  readonly args?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** For its standard input. */
  readonly input?: string
}

/** What one start took. */
export interface Turn {
  /** From before the start until the end was known. */
  readonly ms: number
  /** When that was, milliseconds as `performance.now()` of this process counts them. */
  readonly endedMs: number
  readonly peakKib: number
  readonly cpuMs: number
  /** Negative: the signal that ended it. */
  readonly exitCode: number
  readonly stdout: string
}

/** Builds the launcher with the C compiler of the machine. @returns its path */
function buildLauncher(): string {
  mkdirSync(folder, { recursive: true })
  const target = join(folder, 'launch')
  const flags = ['-Os', '-static', '-s', '-Wall', '-Wextra', '-Werror', '-o', target, source]
  const { status, stderr } = spawnSync(process.env['CC'] ?? 'cc', flags, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`Cannot build ${source}:\n${stderr}`)
  return target
}

const isLittle = endianness() === 'LE'

function encode({ file, args = [], env = {}, input = '' }: Call): Buffer {
  const environment = Object.entries(env).map(([name, value]) => `${name}=${value}`)
  const strings = [file, ...args, ...environment].map((text) => `${text}\0`).join('')
  const head = new DataView(new ArrayBuffer(12))
  for (const [index, count] of [1 + args.length, environment.length, Buffer.byteLength(input)].entries())
    head.setUint32(4 * index, count, isLittle)
  return Buffer.concat([new Uint8Array(head.buffer), Buffer.from(strings), Buffer.from(input)])
}

/** @param originMs what `performance.now()` says when CLOCK_MONOTONIC is 0 */
function decode(bytes: Buffer, originMs: number): readonly Turn[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const turns: Turn[] = []
  for (let at = 0; at < bytes.byteLength; ) {
    const u32 = (offset: number) => view.getUint32(at + offset, isLittle)
    const ms = (offset: number) => Number(view.getBigUint64(at + offset, isLittle)) / 1e6
    const outputAt = at + 40
    const outputEnd = outputAt + u32(36)
    turns[u32(16)] = {
      ms: ms(0),
      endedMs: ms(8) + originMs,
      peakKib: u32(20),
      cpuMs: (u32(24) + u32(28)) / 1000,
      exitCode: view.getInt32(at + 32, isLittle),
      stdout: bytes.toString('utf8', outputAt, outputEnd),
    }
    at = outputEnd
  }
  return turns
}

/**
 * Starts the programs in order, so many at any time; one at a time: each when the one before has ended and all is calm.
 * @returns as many turns, in the order of the calls
 * @throws when the launcher cannot be built, or one of them cannot be started
 */
export async function launch(calls: readonly Call[], atOnce = 1): Promise<readonly Turn[]> {
  const launcher = buildLauncher()
  const dir = mkdtempSync(join(tmpdir(), 'bench-launch-'))
  const [asked, answered] = [join(dir, 'calls'), join(dir, 'turns')]
  try {
    writeFileSync(asked, Buffer.concat(calls.map(encode)))
    const [from, to] = [openSync(asked, 'r'), openSync(answered, 'w')]
    const child = spawn(launcher, [String(atOnce)], { stdio: [from, to, 'inherit'] })
    closeSync(from)
    closeSync(to)
    const [status] = (await once(child, 'close')) as [number | null]
    if (status !== 0) throw new Error(`The launcher ended with ${status}`)
    // Both are CLOCK_MONOTONIC.
    const turns = decode(readFileSync(answered), performance.now() - Number(process.hrtime.bigint()) / 1e6)
    const found = turns.filter((turn) => turn !== undefined).length
    if (found !== calls.length) throw new Error(`The launcher answered ${found} of ${calls.length} calls`)
    return turns
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}
