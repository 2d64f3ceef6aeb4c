// What benchmarks measure with: percentiles, CPU seconds and memory of processes, writes seen by watches.
import { readdirSync, readFileSync } from 'node:fs'
import type { KubeObject, Resource } from '../../src/api/index.ts'
import { toError } from '../../src/base/index.ts'
import type { KubeApi } from '../../src/kube/index.ts'

/** Value below which the given share of the numbers lies; NaN of none. */
export function quantile(numbers: readonly number[], share: number): number {
  const sorted = numbers.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}

/** The middle one, or the mean of the two in the middle; NaN of none. */
export function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b)
  const at = (index: number) => sorted[index] ?? Number.NaN
  return (at(Math.floor((sorted.length - 1) / 2)) + at(Math.floor(sorted.length / 2))) / 2
}

/** For people and JSON: so many digits behind the point. */
export const rounded = (value: number, digits = 2): number => Number(value.toFixed(digits))

// sysconf(_SC_CLK_TCK) of Linux on every processor we run on: proc(5), /proc/pid/stat.
const ticksPerSecond = 100
/** Longer than any benchmark. */
const watchSeconds = 3600

/** User and system time of a process and of the children that it waited for, in seconds; 0 when it is gone. */
export function cpuSeconds(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0)
    return ticks / ticksPerSecond
  } catch {
    return 0
  }
}

/** Memory of a process as the kernel counts it, MB of 2^20 bytes. */
export interface MemoryUse {
  readonly rssMb: number
  /** A page that n processes share counts for 1/n: what one more process costs. */
  readonly pssMb: number
  /** Highest RSS so far. */
  readonly peakMb: number
}

/** @throws when it is gone */
export function memoryOf(pid: number): MemoryUse {
  const megabytes = (file: string, key: string): number => {
    const kilobytes = new RegExp(`^${key}:\\s+(\\d+) kB`, 'm').exec(readFileSync(file, 'utf8'))?.[1]
    if (kilobytes === undefined) throw new Error(`${file} has no ${key}`)
    return rounded(Number(kilobytes) / 1024, 1)
  }
  const status = `/proc/${pid}/status`
  return {
    rssMb: megabytes(status, 'VmRSS'),
    pssMb: megabytes(`/proc/${pid}/smaps_rollup`, 'Pss'),
    peakMb: megabytes(status, 'VmHWM'),
  }
}

/** How often the threads of a process went to sleep by themselves: an idle one does so once for each time that it was woken. */
export function wakeUps(pid: number): number {
  const threads = readdirSync(`/proc/${pid}/task`)
  const counts = threads.map((thread) => {
    const status = readFileSync(`/proc/${pid}/task/${thread}/status`, 'utf8')
    return Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(status)?.[1] ?? 0)
  })
  return counts.reduce((sum, count) => sum + count, 0)
}

/** How long ago the process started, in seconds. */
export function ageSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const startTicks = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19])
  const upSeconds = Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0])
  return upSeconds - startTicks / ticksPerSecond
}

/** Nanoseconds that the living threads of a process have run: finer than {@link cpuSeconds}, which counts hundredths of a second. */
export function cpuNanoseconds(pid: number): number {
  const threads = readdirSync(`/proc/${pid}/task`)
  const run = (thread: string) =>
    Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0])
  return threads.reduce((sum, thread) => sum + run(thread), 0)
}

/** CPU seconds of processes by name since it was made. */
export class CpuMeter {
  readonly #pids: ReadonlyMap<string, number>
  readonly #before: ReadonlyMap<string, number>

  /** @param pids by name; `apiserver` names one of the others once more */
  constructor(pids: ReadonlyMap<string, number>) {
    this.#pids = new Map([...pids].filter(([name]) => name !== 'apiserver'))
    this.#before = new Map([...this.#pids].map(([name, pid]) => [name, cpuSeconds(pid)]))
  }

  /** Agents are summed up under `agents`. */
  read(): Readonly<Record<string, number>> {
    const used: Record<string, number> = {}
    for (const [name, pid] of this.#pids) {
      const key = name.startsWith('agent') ? 'agents' : name
      used[key] = (used[key] ?? 0) + cpuSeconds(pid) - (this.#before.get(name) ?? 0)
    }
    return Object.fromEntries(Object.entries(used).map(([name, seconds]) => [name, rounded(seconds)]))
  }
}

/** Counts the writes to some resources by the events that watches tell of them. */
export class WriteCounter {
  readonly #counts: Map<string, number> = new Map()
  readonly #end = new AbortController()
  readonly #watches: Promise<Error | undefined>[] = []

  /** @param onWrite hears of each write as it comes */
  static async start(
    api: KubeApi,
    watched: readonly Resource[],
    onWrite: (resource: Resource) => void = () => undefined,
  ): Promise<WriteCounter> {
    const counter = new WriteCounter()
    for (const resource of watched) {
      const { resourceVersion } = await api.list(resource, { limit: 1 }, counter.#end.signal)
      counter.#watches.push(
        counter.#follow(api, resource, resourceVersion, onWrite).then(
          () => undefined,
          (error: unknown) => toError(error),
        ),
      )
    }
    return counter
  }

  async #follow(
    api: KubeApi,
    resource: Resource,
    resourceVersion: string,
    onWrite: (resource: Resource) => void,
  ): Promise<void> {
    const { signal } = this.#end
    const watch = api.watch<KubeObject>(resource, { resourceVersion, timeoutSeconds: watchSeconds }, signal)
    try {
      for await (const event of watch) {
        if (event.type === 'BOOKMARK') continue
        this.#counts.set(resource.plural, (this.#counts.get(resource.plural) ?? 0) + 1)
        onWrite(resource)
      }
    } catch (error) {
      if (signal.aborted) return
      throw error
    }
    if (!signal.aborted) throw new Error(`The watch of ${resource.plural} ended before its benchmark`)
  }

  /** So far, by plural. */
  counts(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#counts)
  }

  /** @throws when a watch broke: its count says nothing then */
  async stop(): Promise<void> {
    this.#end.abort()
    const broken = (await Promise.all(this.#watches)).find((error) => error !== undefined)
    if (broken !== undefined) throw broken
  }
}
