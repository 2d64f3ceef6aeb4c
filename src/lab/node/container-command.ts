import { spawn } from 'node:child_process'
import type { Pod } from '../../api/index.ts'
import type { PauseRunner } from '../pause.ts'

/** A container's command that runs inside a pod's namespace. */
export interface CommandRun {
  /** Resolves when it ends; 128 + n after signal n, 127 when there is no such program. */
  readonly exitCode: Promise<number>
  stop(): void
}

/** Starts a command inside the namespace at a path. */
export type RunCommand = (netnsPath: string, command: readonly string[]) => CommandRun

const runAnnotation = 'lab.spiderpool.io/run'
const killAfterMs = 2000
const signalNumbers: Readonly<Record<string, number>> = { SIGHUP: 1, SIGINT: 2, SIGKILL: 9, SIGTERM: 15 }

/**
 * The command that the lab runs for a pod: that of the first container, if the annotation `lab.spiderpool.io/run: "true"`
 * asks for it. No image is there: it is a program of this machine, in the pod's network namespace and no other.
 * @returns undefined when the pod is a pause process alone
 */
export function commandOf(pod: Pod): readonly string[] | undefined {
  if (pod.metadata.annotations?.[runAnnotation] !== 'true') return undefined
  const [container] = pod.spec?.containers ?? []
  const command = [...(container?.command ?? []), ...(container?.args ?? [])]
  return command.length === 0 ? undefined : command
}

/** Runs commands through the program that holds the namespaces. */
export function commandRunner(pause: Pick<PauseRunner, 'commandInside'>): RunCommand {
  return (netnsPath, command) => {
    const [program, args] = pause.commandInside(netnsPath, command)
    // A group of its own, so that what a shell starts ends with it.
    const child = spawn(program, args, { stdio: 'ignore', detached: true })
    const { promise, resolve } = Promise.withResolvers<number>()
    child.once('error', () => resolve(127))
    child.once('close', (code, signal) => resolve(code ?? 128 + (signalNumbers[signal ?? ''] ?? 0)))
    const signalGroup = (name: NodeJS.Signals): void => {
      if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
      process.kill(-child.pid, name)
    }
    const stop = (): void => {
      signalGroup('SIGTERM')
      setTimeout(() => signalGroup('SIGKILL'), killAfterMs).unref()
    }
    return { exitCode: promise, stop }
  }
}
