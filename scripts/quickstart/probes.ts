// The kinds of checks that the chapters are made of.
import type { Check, Seen, Sight } from './check.ts'
import type { KernelAddress } from './kernel.ts'
import type { PodObject } from './kubectl.ts'
import { addressesIn, type Described, isInRange, type Range, rangeOf } from './manifests.ts'

/** Pods that a check is about. */
export interface Subject {
  readonly app: string
  readonly namespace: string
}

const podsOf = ({ app, namespace }: Subject): string =>
  `kubectl get pods -n ${namespace} -l app=${app} -o wide`
const describePods = ({ app, namespace }: Subject): string =>
  `kubectl describe pods -n ${namespace} -l app=${app}`

const isGoing = (pod: PodObject): boolean => pod.metadata.deletionTimestamp !== undefined
const isRunning = (pod: PodObject): boolean =>
  pod.status.phase === 'Running' &&
  !isGoing(pod) &&
  pod.status.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') === true
const isCreating = (pod: PodObject): boolean =>
  pod.status.podIP === undefined &&
  pod.status.containerStatuses?.every(({ state }) => state?.waiting?.reason === 'ContainerCreating') === true

export function showPod(pod: PodObject): string {
  const waiting = pod.status.containerStatuses?.[0]?.state?.waiting?.reason
  const state = isGoing(pod) ? 'Terminating' : (waiting ?? pod.status.phase ?? 'unknown')
  return `${pod.metadata.name} ${state} ${pod.status.podIP ?? '<none>'} ${pod.spec.nodeName ?? '<no node>'}`
}

const yes = (what: string): Seen => ({ isSo: true, what })
const no = (what: string): Seen => ({ isSo: false, what })

/** `count` pods run, each with one address of the range on `nic` in its namespace in the kernel, and none has another's. */
export function runsWithAddress(
  subject: Subject,
  wanted: {
    readonly range: Range
    readonly count: number
    readonly nic?: string
    readonly nodes?: readonly string[]
  },
): Check {
  const { range, count, nic = 'eth0', nodes } = wanted
  const where = nodes === undefined ? '' : ` on ${nodes.join(', ')} alone`
  const span = `${range.first}-${range.last}`
  return {
    name: `${subject.app} runs${where} with an address of ${span} on ${nic}`,
    expected: `${count} running pod(s)${where}, each with one address of ${span} on ${nic} in the kernel`,
    look: podsOf(subject),
    probe: async ({ kubectl, kernel }) => {
      const pods = await kubectl.pods(subject.namespace, `app=${subject.app}`)
      const running = pods.filter(isRunning)
      if (running.length !== count) return no(pods.map(showPod).join('; ') || 'no pods')
      const addresses = await kernel.addresses()
      const doubled = doubles(addresses)
      if (doubled.length > 0) return no(`on more than one link: ${doubled.join(', ')}`)
      const found = running.map((pod) => ({ pod, at: addressOf(addresses, pod, nic, range) }))
      const wrong = found.filter(
        ({ pod, at }) => at === undefined || kernel.nodeOf(at.netns) !== pod.spec.nodeName,
      )
      if (wrong.length > 0)
        return no(`not in the kernel so: ${wrong.map(({ pod }) => showPod(pod)).join('; ')}`)
      const misplaced = running.filter((pod) => nodes?.includes(pod.spec.nodeName ?? '') === false)
      if (misplaced.length > 0) return no(`elsewhere: ${misplaced.map(showPod).join('; ')}`)
      return yes(found.map(({ pod, at }) => `${at?.address} (${pod.spec.nodeName})`).join(' '))
    },
  }
}

function doubles(addresses: readonly KernelAddress[]): readonly string[] {
  const groups = Map.groupBy(addresses, ({ address }) => address)
  return [...groups].filter(([, group]) => group.length > 1).map(([address]) => address)
}

/** The pod's address on one NIC; its namespace is the one that has the pod's IP. */
function addressOf(
  addresses: readonly KernelAddress[],
  pod: PodObject,
  nic: string,
  range: Range,
): KernelAddress | undefined {
  const home = addresses.find(({ address }) => address === pod.status.podIP)?.netns
  const here = addresses.filter(
    ({ netns, link, family }) => netns === home && link === nic && family === 'inet',
  )
  const [only, second] = here
  const isRight =
    only !== undefined &&
    second === undefined &&
    isInRange(range, only.address) &&
    only.prefixBits === range.prefixBits
  return isRight ? only : undefined
}

/** `count` pods stay without address, and an Event on each says which pools were looked at and why each was refused. */
export function isRefused(
  subject: Subject,
  wanted: { readonly count: number; readonly pool: string; readonly because: RegExp; readonly why: string },
): Check {
  const { count, pool, because, why } = wanted
  return {
    name: `${count === 1 ? 'a pod' : `${count} pods`} of ${subject.app} without address: ${pool} is refused, ${why}`,
    expected: `${count} pod(s) ContainerCreating without address; an Event names ${pool} and matches ${because}`,
    look: describePods(subject),
    probe: async ({ kubectl }) => {
      const pods = await kubectl.pods(subject.namespace, `app=${subject.app}`)
      const waiting = pods.filter((pod) => isCreating(pod) && !isGoing(pod))
      if (waiting.length !== count) return no(pods.map(showPod).join('; ') || 'no pods')
      let shown = ''
      for (const pod of waiting) {
        const messages = (await kubectl.eventsOf(pod))
          .filter(({ type }) => type === 'Warning')
          .map(({ reason, message }) => `${reason}: ${message}`)
        const fitting = messages.filter((message) => message.includes(pool) && because.test(message))
        const [first] = fitting.toSorted((a, b) => a.length - b.length)
        if (first === undefined) {
          return no(`no Event on ${pod.metadata.name} says so${messages.map((text) => `\n${text}`).join('')}`)
        }
        shown = `${showPod(pod)}\nEvent ${first}`
      }
      return yes(shown)
    },
  }
}

/** The kernel has exactly these addresses of a range, on one link each. */
export function takesAll(range: Range): Check {
  const all = addressesIn(range)
  return {
    name: `all ${all.length} addresses of ${range.first}-${range.last} are in use, each once`,
    expected: `each of ${all.join(', ')} on exactly one link of one pod`,
    look: 'spiderpoolctl lab status',
    probe: async ({ kernel }) => {
      const used = (await kernel.addresses()).filter(({ address }) => all.includes(address))
      const counts = all.map((ip) => used.filter(({ address }) => address === ip).length)
      const text = all.map((ip, i) => `${ip}×${counts[i]}`).join(' ')
      return counts.every((count) => count === 1) ? yes(text) : no(text)
    },
  }
}

/** Pods of the subject have a real process in their namespace, and their status says that there is no image. */
export function hasProcess(subject: Subject): Check {
  return {
    name: `${subject.app} is a real process in its namespace; its status says that no image was pulled`,
    expected: 'a process whose network namespace is the pod\'s, and "no image was pulled" in status.message',
    look: `kubectl get pods -n ${subject.namespace} -l app=${subject.app} -o yaml`,
    probe: async ({ kubectl, kernel }) => {
      const [pod] = await kubectl.pods(subject.namespace, `app=${subject.app}`)
      const home = (await kernel.addresses()).find(({ address }) => address === pod?.status.podIP)?.netns
      if (pod === undefined || home === undefined) return no('no such pod in the kernel')
      const processes = kernel.processesIn(home)
      const { message = '' } = pod.status
      const text = `pid ${processes.join(', ') || 'none'}; "${message}"`
      return processes.length > 0 && message.includes('no image was pulled') ? yes(text) : no(text)
    },
  }
}

/** What `kubectl ARGS` prints has a line for each pattern. */
export function prints(args: readonly string[], patterns: readonly RegExp[]): Check {
  const command = `kubectl ${args.join(' ')}`
  return {
    name: `${command}, as in the document`,
    expected: patterns.map(String).join('  and  '),
    look: command,
    probe: async ({ kubectl }) => {
      const { stdout, stderr } = await kubectl.run(args)
      const lines = stdout.trimEnd().split('\n')
      const isSo = patterns.every((pattern) => lines.some((line) => pattern.test(line.trimEnd())))
      return { isSo, what: `\n${stdout.trimEnd()}${stderr.trimEnd()}` }
    },
  }
}

/** An object's JSON has and has not these members in its spec. */
export function specIs(
  args: readonly string[],
  wanted: { readonly has: readonly string[]; readonly hasNot: readonly string[] },
): Check {
  const { has, hasNot } = wanted
  return {
    name: `the later manifest replaced the earlier: spec has ${has.join(', ')} and no ${hasNot.join(', ')}`,
    expected: `spec with ${has.join(', ')} and without ${hasNot.join(', ')}`,
    look: `kubectl ${args.join(' ')} -o yaml`,
    probe: async ({ kubectl }) => {
      const { spec } = await kubectl.json<{ readonly spec: Readonly<Record<string, unknown>> }>(args)
      const isThere = (key: string) => (spec[key] ?? null) !== null
      const isSo = has.every(isThere) && !hasNot.some(isThere)
      return { isSo, what: Object.keys(spec).sort().join(' ') }
    },
  }
}

/** The API server refuses a manifest with a message that has all the words. */
export function isRefusedByServer(name: string, text: string, words: readonly string[]): Check {
  return {
    name,
    expected: `kubectl apply fails, and says ${words.join(', ')}`,
    look: 'kubectl get spiderippools',
    withinMs: 0,
    probe: async ({ kubectl }) => {
      const { status, stdout, stderr } = await kubectl.send('apply', text)
      const said = `${stdout}${stderr}`.trim()
      return { isSo: status !== 0 && words.every((word) => said.includes(word)), what: `\n${said}` }
    },
  }
}

/** Multus' annotation lists the interfaces with their addresses. */
export function statusLists(subject: Subject, interfaces: readonly string[]): Check {
  const key = 'k8s.v1.cni.cncf.io/network-status'
  return {
    name: `${key} of ${subject.app} lists ${interfaces.join(' and ')}`,
    expected: `entries for ${interfaces.join(', ')}, each with an address`,
    look: `kubectl get pods -n ${subject.namespace} -l app=${subject.app} -o yaml`,
    probe: async ({ kubectl }) => {
      const [pod] = await kubectl.pods(subject.namespace, `app=${subject.app}`)
      const text = pod?.metadata.annotations?.[key] ?? '[]'
      const entries = JSON.parse(text) as readonly {
        readonly interface?: string
        readonly ips?: readonly string[]
      }[]
      const isSo = interfaces.every((nic) =>
        entries.some((entry) => entry.interface === nic && (entry.ips?.length ?? 0) > 0),
      )
      const shown = entries.map((entry) => `${entry.interface}: ${entry.ips?.join(',') ?? ''}`).join('; ')
      return { isSo, what: shown || 'no entries' }
    },
  }
}

/** Of these objects no pod, no address in the kernel and none in the ledger is left. */
export function nothingLeft(objects: readonly Described[]): Check {
  return {
    name: 'the chapter left nothing: no pod, no namespace in the kernel, no address in the ledger',
    expected: 'no pods, no pod namespaces, no entries in SpiderIPBlocks, no SpiderEndpoints',
    look: 'kubectl get pods,spiderendpoints -A; kubectl get spideripblocks -o yaml',
    withinMs: 90_000,
    probe: (sight) => lookForLeftovers(sight, objects),
  }
}

interface Block {
  readonly spec: { readonly entries?: Readonly<Record<string, unknown>> }
}
interface Named {
  readonly metadata: { readonly name: string; readonly namespace?: string }
}
interface Items<T> {
  readonly items: readonly T[]
}

async function lookForLeftovers(sight: Sight, objects: readonly Described[]): Promise<Seen> {
  const { kubectl, kernel, isFresh } = sight
  const list = async <T>(kind: string): Promise<readonly T[]> =>
    (await kubectl.json<Items<T>>(['get', kind, '-A'])).items
  const ranges = objects.flatMap((object) => object.ranges).map((text) => rangeOf(text, 0))
  const isOurAddress = (ip: string) => !ip.includes(':') && ranges.some((range) => isInRange(range, ip))
  const owners = objects.filter(({ app }) => app !== '')
  const isOurPod = ({ metadata }: Named) =>
    owners.some(
      ({ name, namespace }) => metadata.namespace === namespace && metadata.name.startsWith(`${name}-`),
    )
  const left = (what: string, names: readonly string[]): Seen | undefined =>
    names.length === 0 ? undefined : no(`${what}: ${names.join(' ')}`)
  const nameOf = ({ metadata }: Named) => metadata.name
  const inKernel = (await kernel.addresses()).filter(({ address }) => isOurAddress(address))
  const held = (await list<Block>('spideripblocks')).flatMap(({ spec }) => Object.keys(spec.entries ?? {}))
  return (
    left('pods', (await list<Named>('pods')).filter(isOurPod).map(nameOf)) ??
    left('namespaces', isFresh ? kernel.podNamespaces() : inKernel.map(({ netns }) => netns)) ??
    left('in the ledger', isFresh ? held : held.filter(isOurAddress)) ??
    left('endpoints', (await list<Named>('spiderendpoints')).filter(isOurPod).map(nameOf)) ??
    yes('nothing')
  )
}
