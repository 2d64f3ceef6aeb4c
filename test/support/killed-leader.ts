// A leader in a process of its own that is killed by SIGKILL after so many writes of blocks: `KUBECONFIG TERM WRITES`.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { KubeObject, Resource } from '../../src/api/index.ts'
import type { KubeApi } from '../../src/kube/index.ts'
import { LeaderKit } from './leader-kit.ts'

/** Runs the leader until it kills itself. */
export async function runKilledLeader(
  kubeconfig: string,
  term: number,
  writes: number,
): Promise<{ readonly code: number | null; readonly signal: string | null }> {
  const args = [import.meta.filename, kubeconfig, String(term), String(writes)]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] })
  const deadline = setTimeout(() => child.kill('SIGTERM'), 60_000)
  const [code, signal] = (await once(child, 'exit')) as [number | null, string | null]
  clearTimeout(deadline)
  return { code, signal }
}

/** Dies when the given number of blocks was created; no more than these are under way. */
function mortal(api: KubeApi, writes: number): KubeApi {
  let begun = 0
  let done = 0
  const create = async <T extends KubeObject>(
    resource: Resource,
    object: T,
    signal: AbortSignal,
  ): Promise<T> => {
    if (resource.kind === 'SpiderIPBlock' && ++begun > writes) return new Promise<T>(() => undefined)
    const created = await api.create(resource, object, signal)
    if (resource.kind === 'SpiderIPBlock' && ++done === writes) process.kill(process.pid, 'SIGKILL')
    return created
  }
  return new Proxy(api, {
    get: (target, name) => {
      if (name === 'create') return create
      const member: unknown = Reflect.get(target, name)
      return typeof member === 'function' ? member.bind(target) : member
    },
  })
}

const [kubeconfig, term, writes] = process.argv.slice(2)
if (import.meta.main && kubeconfig !== undefined) {
  await LeaderKit.start(kubeconfig, { term: Number(term), wrap: (api) => mortal(api, Number(writes)) })
}
