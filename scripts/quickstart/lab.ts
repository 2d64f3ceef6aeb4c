// Brings the lab up and down as a person would: by the command line tool.
import { spawn } from 'node:child_process'
import { dirname, join } from 'node:path'
import { run } from './kubectl.ts'
import { command } from './screen.ts'

const root = dirname(dirname(import.meta.dirname))
const tool = join(root, 'src/bin/spiderpoolctl.ts')
const args = (...more: readonly string[]): readonly string[] => [
  '--disable-warning=ExperimentalWarning',
  tool,
  ...more,
]

/** Runs `spiderpoolctl` on our own terminal. @returns its exit code */
function show(words: readonly string[]): Promise<number> {
  command(`spiderpoolctl ${words.join(' ')}`)
  const child = spawn(process.execPath, args(...words), { stdio: ['ignore', 'inherit', 'inherit'] })
  const { promise, resolve } = Promise.withResolvers<number>()
  child.on('error', () => resolve(127))
  child.on('close', (code) => resolve(code ?? 128))
  return promise
}

/** True when a lab runs in the folder, with all its processes. */
export async function isLabRunning(dir: string): Promise<boolean> {
  return (await run(process.execPath, args('lab', 'status', '--dir', dir))).status === 0
}

export async function labUp(dir: string, kubeconfig: string | undefined): Promise<boolean> {
  const against = kubeconfig === undefined ? [] : ['--kubeconfig', kubeconfig]
  return (await show(['lab', 'up', '--dir', dir, ...against])) === 0
}

export async function labDown(dir: string): Promise<boolean> {
  return (await show(['lab', 'down', '--dir', dir])) === 0
}
