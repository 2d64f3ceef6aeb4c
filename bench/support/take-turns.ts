// Runs programs by bench/native/take-turns.c, which costs little itself, and gives what each start took.
import { spawnSync } from 'node:child_process'
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { endianness, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

const root = dirname(dirname(import.meta.dirname))
const source = join(root, 'bench/native/take-turns.c')
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
  readonly peakKib: number
  readonly cpuMs: number
  /** Negative: the signal that ended it. */
  readonly exitCode: number
  readonly stdout: string
}

/** Builds the launcher with the C compiler of the machine. @returns its path */
function buildLauncher(): string {
  mkdirSync(folder, { recursive: true })
  const target = join(folder, 'take-turns')
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

function decode(bytes: Buffer): readonly Turn[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const turns: Turn[] = []
  for (let at = 0; at < bytes.byteLength; ) {
    const u32 = (offset: number) => view.getUint32(at + offset, isLittle)
    const outputAt = at + 28
    const outputEnd = outputAt + u32(24)
    turns.push({
      ms: Number(view.getBigUint64(at, isLittle)) / 1e6,
      peakKib: u32(8),
      cpuMs: (u32(12) + u32(16)) / 1000,
      exitCode: view.getInt32(at + 20, isLittle),
      stdout: bytes.toString('utf8', outputAt, outputEnd),
    })
    at = outputEnd
  }
  return turns
}

/**
 * Starts the programs in order, each when the one before has ended. This process sleeps meanwhile.
 * @returns as many turns, in the same order
 * @throws when the launcher cannot be built, or one of them cannot be started
 */
export function takeTurns(calls: readonly Call[]): readonly Turn[] {
  const launcher = buildLauncher()
  const dir = mkdtempSync(join(tmpdir(), 'bench-turns-'))
  const [asked, answered] = [join(dir, 'calls'), join(dir, 'turns')]
  try {
    writeFileSync(asked, Buffer.concat(calls.map(encode)))
    const [from, to] = [openSync(asked, 'r'), openSync(answered, 'w')]
    const { status, stderr } = spawnSync(launcher, [], { stdio: [from, to, 'pipe'], encoding: 'utf8' })
    closeSync(from)
    closeSync(to)
    if (status !== 0) throw new Error(`The launcher ended with ${status}: ${stderr}`)
    const turns = decode(readFileSync(answered))
    if (turns.length !== calls.length)
      throw new Error(`The launcher answered ${turns.length} of ${calls.length} calls: ${stderr}`)
    return turns
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}
