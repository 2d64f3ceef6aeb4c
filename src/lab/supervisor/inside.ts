import { spawn } from 'node:child_process'
import { existsSync, realpathSync } from 'node:fs'
import { constants } from 'node:os'
import { InvalidInputError } from '../../base/index.ts'
import { labPathsOf, nodePathsOf } from '../lab-paths.ts'
import { LabError } from './lab-error.ts'
import { nativeProgram } from './program.ts'
import { findPods } from './status.ts'

/**
 * The namespace file of a place in the lab.
 * @param place `POD`, `NAMESPACE/POD`, `node:NAME` or `switch`
 * @throws {InvalidInputError} when there is no such place
 */
export async function findNetns(dir: string, place: string): Promise<string> {
  if (!existsSync(dir)) throw new LabError(`No lab is in ${dir}`, 'Start one: spiderpoolctl lab up')
  const paths = labPathsOf(realpathSync(dir))
  if (place === 'switch') return paths.switchNetns
  if (place.startsWith('node:')) {
    const path = nodePathsOf(paths, place.slice('node:'.length)).netns
    if (existsSync(path)) return path
    throw new InvalidInputError('node', place, 'is not a node of the lab', 'see: spiderpoolctl lab status')
  }
  const slash = place.indexOf('/')
  const namespace = slash < 0 ? 'default' : place.slice(0, slash)
  const name = place.slice(slash + 1)
  const pods = await findPods(dir)
  const pod = pods.find((found) => found.namespace === namespace && found.name === name && found.isRunning)
  if (pod !== undefined) return pod.netnsPath
  const hint = 'write POD, NAMESPACE/POD, node:NAME or switch; see: spiderpoolctl lab status'
  throw new InvalidInputError('pod', place, 'has no running sandbox in the lab', hint)
}

/** Runs a command inside a place of the lab, on our own terminal. @returns its exit code */
export async function labExec(dir: string, place: string, command: readonly string[]): Promise<number> {
  const netns = await findNetns(dir, place)
  const child = spawn(nativeProgram('lab-pause'), ['--exec', netns, ...command], { stdio: 'inherit' })
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  child.once('error', reject)
  child.once('close', (code, signal) =>
    resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])),
  )
  return promise
}
