import { type Node, type OwnerReference, type Pod, resources } from '../../api/index.ts'
import { InvalidInputError, systemClock } from '../../base/index.ts'
import type { DryRun } from '../../controller/index.ts'
import { findByName, type KubeApi } from '../../kube/index.ts'
import { reservedOf } from '../../ledger/index.ts'
import { type ClusterPort, clusterFlags, type Env, withCluster } from '../cluster/access.ts'
import type { Command } from '../command.ts'
import { type ParsedArgs, parseFlags, refuseMore, textFlag } from '../flags.ts'
import { listReservations } from '../ip/read-address.ts'
import { formatOutput, outputFlag, outputFormat } from '../output.ts'
import { readRecords } from '../pool/commands.ts'
import { exitCodes } from '../run-cli.ts'
import { type Explanation, explanationLines, ResultGroups } from './explain-lines.ts'
import { countsWith, type ExplainWorld, explainPod } from './explain-pod.ts'
import { readInstallation } from './installation.ts'
import { type ManifestWorkload, parseManifest, readManifest } from './manifest.ts'

/** Nodes of one explanation. */
const maxNodes = 200
/** Pools of all nodes together that are judged, each by all rules. */
const maxJudged = 100_000
const nodePage = 500

/** Commands that tell what the allocator would do. */
export function explainCommands(cluster: ClusterPort, env: Env): readonly Command[] {
  return [podCommand(cluster, env)]
}

interface Subject {
  readonly pod: Pod
  /** Of a manifest: what the pod comes from, from above. */
  readonly workloads: readonly ManifestWorkload[]
  /** undefined: each Ready node. */
  readonly node: string | undefined
}

const command: Omit<Command, 'run'> = {
  name: 'explain pod',
  usage: 'NAMESPACE/NAME | -f FILE [FLAGS]',
  summary: 'Tell which pools a pod may use, by each rule, and what it would get; 1 when it would get nothing',
  flags: [
    {
      name: 'filename',
      short: 'f',
      value: 'FILE',
      values: 'files',
      text: 'manifest of a pod or workload that need not exist; - reads it',
    },
    {
      name: 'namespace',
      short: 'n',
      value: 'NAME',
      values: 'namespaces',
      text: 'where the manifest goes (default)',
    },
    {
      name: 'node',
      value: 'NAME',
      values: 'nodes',
      text: 'as if the pod were there (its own node; else each that is Ready)',
    },
    {
      name: 'install-namespace',
      value: 'NAME',
      values: 'namespaces',
      text: 'of ConfigMap spiderpool-conf (looked for)',
    },
    { name: 'cluster-network', value: 'NS/NAME', text: 'network of the first NIC (that of the ConfigMap)' },
    outputFlag,
    ...clusterFlags,
  ],
  argument: 'pods',
}

function podCommand(cluster: ClusterPort, env: Env): Command {
  return {
    ...command,
    run: async (args, terminal, signal) => {
      const parsed = parseFlags(command, args)
      refuseMore(command, parsed, 1)
      const format = outputFormat(parsed)
      const file = textFlag(parsed, 'filename')
      const key = keyOf(parsed, file)
      const text = file === undefined ? '' : await readManifest(file)
      return withCluster({ cluster, env, parsed, signal }, async (api, deadline) => {
        const node = textFlag(parsed, 'node')
        const { pod, workloads } =
          file === undefined
            ? { pod: await readPod(key, api, deadline), workloads: [] }
            : parseManifest(text, file, textFlag(parsed, 'namespace'))
        const subject = { pod, workloads, node: node ?? pod.spec?.nodeName }
        const explanation = await explain(subject, parsed, api, deadline)
        for (const line of formatOutput(format, explanation, () => explanationLines(explanation)))
          terminal.print(line)
        return explanation.isServed ? exitCodes.done : exitCodes.failed
      })
    },
  }
}

function keyOf(parsed: ParsedArgs, file: string | undefined): string {
  const [given] = parsed.positionals
  const hint = 'write NAMESPACE/NAME of a pod, or -f FILE'
  if (file !== undefined && given === undefined) return ''
  if (file !== undefined) throw new InvalidInputError('POD', given, 'does not go with --filename', hint)
  if (given === undefined) throw new InvalidInputError('POD', '', 'is missing', hint)
  const [namespace, name, more] = given.includes('/')
    ? given.split('/')
    : [textFlag(parsed, 'namespace') ?? '', given]
  if (namespace === undefined || namespace === '' || name === undefined || name === '' || more !== undefined)
    throw new InvalidInputError('POD', given, 'is no NAMESPACE/NAME', hint)
  return `${namespace}/${name}`
}

async function readPod(key: string, api: KubeApi, signal: AbortSignal): Promise<Pod> {
  const [namespace = '', name = ''] = key.split('/')
  const pod = await api.get<Pod>(resources.pod, { namespace, name }, signal)
  if (pod !== undefined) return pod
  const hint =
    'check namespace and name; for a pod that does not exist yet: spiderpoolctl explain pod -f FILE'
  throw new InvalidInputError('POD', key, 'does not exist', hint)
}

async function explain(
  { pod: given, workloads, node }: Subject,
  parsed: ParsedArgs,
  api: KubeApi,
  signal: AbortSignal,
): Promise<Explanation> {
  const { namespace = '', name } = given.metadata
  const key = `${namespace}/${name}`
  if (given.spec?.hostNetwork === true)
    return {
      pod: key,
      isServed: true,
      results: [],
      notes: ['the pod uses the network of its node: it gets no address'],
    }
  await requireNamespace(namespace, api, signal)
  const where = {
    namespace: textFlag(parsed, 'install-namespace'),
    clusterNetwork: textFlag(parsed, 'cluster-network'),
  }
  const { settings, notes } = await readInstallation(where, api, signal)
  const nowMs = systemClock.nowMs()
  const nodes = node === undefined ? await readyNodes(api, signal) : [await requireNode(node, api, signal)]
  // Only who asks for an explanation pays for loading the allocator.
  const controller = await import('../../controller/index.ts')
  await using dryRun = await controller.DryRun.open(api, settings, signal)
  const pod = await ownedBy(workloads, given, dryRun, signal)
  const reserved = reservedOf(await listReservations(api, signal))
  const records = await readRecords(nowMs, api, signal)
  const world: ExplainWorld = { dryRun, countsOf: countsWith({ reserved, records, nowMs }) }
  const groups = new ResultGroups()
  let judged = 0
  for (const one of nodes.slice(0, maxNodes)) {
    if (judged > maxJudged) break
    const explained = await explainPod(pod, one, world, signal)
    groups.add(explained)
    judged += explained.nics.flatMap(({ families }) => families.flatMap(({ pools }) => pools)).length
  }
  const results = groups.results()
  const isServed = results.length > 0 && results.every((one) => one.isServed)
  const left = nodes.length - groups.nodeCount
  return { pod: key, isServed, results, notes: [...notes, ...nodeNotes(nodes.length, left)] }
}

/** The pod of a manifest as its workloads would make it. */
async function ownedBy(
  workloads: readonly ManifestWorkload[],
  pod: Pod,
  dryRun: Pick<DryRun, 'assume'>,
  signal: AbortSignal,
): Promise<Pod> {
  let owners: { readonly ownerReferences?: readonly OwnerReference[] } = {}
  for (const workload of workloads) {
    const { apiVersion, kind, metadata } = workload
    const uid = await dryRun.assume({ ...workload, metadata: { ...metadata, ...owners } }, signal)
    owners = { ownerReferences: [{ apiVersion, kind, name: metadata.name, uid, controller: true }] }
  }
  return { ...pod, metadata: { ...pod.metadata, ...owners } }
}

function nodeNotes(count: number, left: number): readonly string[] {
  if (count === 0) return ['no node is Ready: name one by --node']
  return left > 0 ? [`${left} more nodes were not looked at: name one by --node`] : []
}

async function requireNamespace(name: string, api: KubeApi, signal: AbortSignal): Promise<void> {
  if ((await api.get(resources.namespace, { name }, signal)) !== undefined) return
  throw new InvalidInputError(
    'namespace',
    name,
    'does not exist',
    'create it, or name another by --namespace',
  )
}

async function requireNode(name: string, api: KubeApi, signal: AbortSignal): Promise<string> {
  if ((await findByName<Node>(api, resources.node, { name }, signal)) !== undefined) return name
  throw new InvalidInputError('--node', name, 'does not exist', 'see: kubectl get nodes')
}

async function readyNodes(api: KubeApi, signal: AbortSignal): Promise<readonly string[]> {
  const keep = ({ metadata, status }: Node): Node => ({
    metadata,
    ...(status === undefined ? {} : { status }),
  })
  const { items } = await api.listAll<Node>(resources.node, { limit: nodePage, keep }, signal)
  const isReady = ({ status }: Node) =>
    status?.conditions?.some((one) => one.type === 'Ready' && one.status === 'True') === true
  return items.filter(isReady).map(({ metadata }) => metadata.name)
}
