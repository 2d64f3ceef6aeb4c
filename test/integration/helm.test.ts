// The chart on a real control plane: pods run from the images' file systems under the chart's own ServiceAccounts. Needs root.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { after, before } from 'node:test'
import { parse, stringify } from 'yaml'
import { installManifest, renderManifests } from '../../scripts/manifests/render.ts'
import { type KubeObject, resources, spiderFinalizer } from '../../src/api/index.ts'
import { HelmCluster, objectsOf } from '../support/kubelet/helm-cluster.ts'
import { onlyOn, serverUnderTest } from '../support/server-under-test.ts'
import { waitFor } from './lab-harness.ts'

const root = dirname(dirname(import.meta.dirname))
const chart = join(root, 'charts/spiderpool')
const namespace = 'spiderpool'
const feature =
  'controllers of Deployments, DaemonSets and Jobs with RBAC, as an installation by Helm needs them'
const never = new AbortController().signal
/** Those of docs/install.md, but for the registry. */
const documented = documentedValues()

let cluster: HelmCluster
/** Namespaces of pods, as files that hold them. */
const podNetns: string[] = []

before(async () => {
  if (serverUnderTest === 'real') cluster = await HelmCluster.start()
})
after(async () => {
  for (const path of podNetns) spawnSync('umount', [path])
  if (serverUnderTest === 'real') await cluster.close()
})

async function helm(...args: readonly string[]): Promise<string> {
  const { ok, text } = await cluster.helm(...args, '--namespace', namespace)
  assert.ok(ok, `helm ${args.join(' ')}:\n${text}\n${cluster.logs()}`)
  return text
}

async function kubectl(...args: readonly string[]): Promise<string> {
  const { ok, text } = await cluster.kubectl(...args)
  assert.ok(ok, `kubectl ${args.join(' ')}:\n${text}\n${cluster.logs()}`)
  return text
}

async function waitForPods(): Promise<void> {
  await waitFor('the Service', 30_000, async () => {
    await cluster.serve({ name: 'spiderpool-controller', namespace })
    return true
  })
  await waitFor('controllers and agents are ready', 150_000, async () => {
    const show = '{.items[*].status.readyReplicas}{" "}{.items[*].status.updatedReplicas}'
    const controllers = await kubectl('-n', namespace, 'get', 'deployments', '-o', `jsonpath=${show}`)
    const agents = await kubectl(
      '-n',
      namespace,
      'get',
      'daemonsets',
      '-o',
      'jsonpath={.items[*].status.numberReady}',
    )
    return controllers === '2 2' && agents === '2' ? true : undefined
  }).catch((error: unknown) => assert.fail(`${String(error)}\n${cluster.logs()}`))
}

/** The chart as an earlier release would have been: another version, and a definition with fewer columns. */
function olderChart(): string {
  const folder = join(cluster.dir, 'older-chart')
  cpSync(chart, folder, { recursive: true })
  const edit = (path: string, change: (text: string) => string): void => {
    const before = readFileSync(join(folder, path), 'utf8')
    assert.notEqual(change(before), before)
    writeFileSync(join(folder, path), change(before))
  }
  edit('Chart.yaml', (text) => text.replace(/^version: .*$/m, 'version: 0.0.9'))
  edit('files/crds/spiderippools.spiderpool.spidernet.io.yaml', (text) => {
    const definition = parse(text) as { spec: { versions: { additionalPrinterColumns?: unknown }[] } }
    for (const version of definition.spec.versions) delete version.additionalPrinterColumns
    return stringify(definition)
  })
  return folder
}

async function columnsOfPools(): Promise<number> {
  const name = 'spiderippools.spiderpool.spidernet.io'
  const path = '{.spec.versions[0].additionalPrinterColumns[*].name}'
  const text = await kubectl('get', 'crd', name, '-o', `jsonpath=${path}`)
  return text.split(' ').filter((column) => column !== '').length
}

/** Creates a pod, to be refused by nobody, and removes it. */
async function assertPodsCanBeMade(name: string): Promise<void> {
  await kubectl('-n', 'default', 'run', name, '--image=pause', '--restart=Never')
  await kubectl('-n', 'default', 'delete', 'pod', name, '--force', '--grace-period=0')
}

/** Calls the plugin that the agent installed on its node, as a runtime does. */
function cni(
  command: 'ADD' | 'DEL',
  pod: KubeObject,
  netns: string,
): { readonly status: number | null; readonly text: string } {
  const host = cluster.kubelets[0]?.hostDir ?? ''
  const { name, namespace: podNamespace, uid } = pod.metadata
  const env = {
    CNI_COMMAND: command,
    CNI_CONTAINERID: 'helm-1',
    CNI_IFNAME: 'eth0',
    CNI_NETNS: netns,
    CNI_PATH: '/opt/cni/bin',
    CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=${podNamespace};K8S_POD_NAME=${name};K8S_POD_UID=${uid}`,
    SPIDERPOOL_AGENT_SOCKET: join(host, 'var/run/spidernet/spiderpool.sock'),
  }
  const input = JSON.stringify({
    cniVersion: '1.0.0',
    name: 'net',
    type: 'macvlan',
    ipam: { type: 'spiderpool' },
  })
  const run = spawnSync(join(host, 'opt/cni/bin/spiderpool'), [], {
    env,
    input,
    encoding: 'utf8',
    timeout: 60_000,
  })
  return { status: run.status, text: `${run.stdout}${run.stderr}` }
}

async function finalizersOfOurs(): Promise<readonly string[]> {
  const kinds = [
    'endpoint',
    'ipClaim',
    'ipPool',
    'subnet',
    'reservedIp',
    'multusConfig',
    'coordinator',
    'ipBlock',
  ] as const
  const all = await Promise.all(kinds.map((kind) => objectsOf(cluster, kind)))
  return all
    .flat()
    .flatMap(({ metadata }) => (metadata.finalizers ?? []).filter((one) => one === spiderFinalizer))
}

function configurationsOfNodes(): readonly string[] {
  return cluster.kubelets.map(({ hostDir }) => join(hostDir, 'etc/cni/net.d/00-spiderpool.conflist'))
}

async function assertNothingBlocks(pod: string): Promise<void> {
  // New pods would call agents that are gone.
  await waitFor('agents take their configuration off the nodes', 40_000, () =>
    Promise.resolve(!configurationsOfNodes().some((path) => existsSync(path)) || undefined),
  ).catch((error: unknown) => assert.fail(`${String(error)}\n${cluster.logs()}`))
  const hooks = 'mutatingwebhookconfigurations,validatingwebhookconfigurations'
  assert.doesNotMatch(await kubectl('get', hooks, '-o', 'name'), /spiderpool/)
  assert.deepEqual(await finalizersOfOurs(), [])
  await assertPodsCanBeMade(pod)
  await kubectl('delete', 'namespace', namespace, '--timeout=60s')
  for (const kind of ['clusterroles', 'clusterrolebindings'])
    assert.doesNotMatch(await kubectl('get', kind, '-o', 'name'), /\/spiderpool/)
}

onlyOn(
  'real',
  feature,
  'the chart installs, serves, upgrades without a refused write, and uninstalls with all data kept',
  async () => {
    const [kubelet] = cluster.kubelets
    assert.ok(kubelet !== undefined)
    const netnsFolder = join(kubelet.hostDir, 'var/run/netns')
    mkdirSync(netnsFolder, { recursive: true })
    const netns = join(netnsFolder, 'pod-1')
    podNetns.push(netns)
    writeFileSync(netns, '')
    spawnSync('unshare', [`--net=${netns}`, 'true'])
    const install = helm('install', 'spiderpool', olderChart(), '--create-namespace', ...documented)
    // Kubelet and kube-proxy know the Service when the pods start.
    await Promise.all([install, waitForPods()])
    assert.equal(await columnsOfPools(), 0)
    // The default objects are there, and admission answers by way of the Service.
    assert.match(
      await kubectl('get', 'spiderippools,spidercoordinators', '-o', 'name'),
      /default-v4-ippool\n.*\/default\n/,
    )
    await kubectl('-n', namespace, 'get', 'network-attachment-definitions', 'default')
    const overlapping = { subnet: '10.6.0.0/16', ips: ['10.6.168.15'] }
    await assert.rejects(
      cluster.api.create(resources.ipPool, poolNamed('second', overlapping), never),
      /SpiderIPPool "default-v4-ippool" already has/,
    )
    // A pod gets an address of the default pool through the plugin that the agent installed.
    const overrides = JSON.stringify({ spec: { nodeName: 'helm-a' } })
    await kubectl('-n', 'default', 'run', 'first', '--image=pause', `--overrides=${overrides}`)
    const pod = await cluster.api.get(resources.pod, { namespace: 'default', name: 'first' }, never)
    assert.ok(pod !== undefined)
    const added = cni('ADD', pod, '/var/run/netns/pod-1')
    assert.equal(added.status, 0, `${added.text}\n${cluster.logs()}`)
    assert.match(added.text, /10\.6\.168\.\d\d\/16/)

    const writtenAt = () => configurationsOfNodes().map((path) => statSync(path).mtimeMs)
    const before = writtenAt()
    const writes = keepWriting()
    const upgraded = helm(
      'upgrade',
      'spiderpool',
      chart,
      ...documented,
      '--set=spiderpoolController.debug.logLevel=debug',
    )
    await upgraded
    await waitForPods()
    const { count, refused } = await writes.end()
    assert.deepEqual(refused, [], cluster.logs())
    assert.ok(count > 20, `only ${count} writes`)
    assert.notEqual(await columnsOfPools(), 0, 'the definition was upgraded')
    assert.deepEqual(writtenAt(), before, 'agents that an upgrade replaces leave their configuration there')
    const again = cni('ADD', pod, '/var/run/netns/pod-1')
    assert.match(again.text, /10\.6\.168\.\d\d\/16/, 'the pod has its address still')
    await kubectl(
      'patch',
      'spiderippool',
      'default-v4-ippool',
      '--type=merge',
      '-p',
      '{"metadata":{"labels":{"mine":"yes"}}}',
    )

    const spec = '{"spec":{"macvlan":{"master":["eth0"],"mtu":1400}}}'
    await kubectl('-n', namespace, 'patch', 'spidermultusconfig', 'default', '--type=merge', '-p', spec)
    await waitFor('the network follows its config', 30_000, async () => {
      const path = 'jsonpath={.spec.config}'
      const text = await kubectl(
        '-n',
        namespace,
        'get',
        'network-attachment-definitions',
        'default',
        '-o',
        path,
      )
      return text.includes('1400') ? true : undefined
    })

    const told = await helm('uninstall', 'spiderpool')
    assert.match(told, /kept/i)
    assert.equal((await objectsOf(cluster, 'ipPool'))[0]?.metadata.labels?.['mine'], 'yes')
    const blocks = await objectsOf(cluster, 'ipBlock')
    assert.match(JSON.stringify(blocks), /default\/first/, 'whose address it is stays on record')
    await assertNothingBlocks('after-uninstall')
    await kubectl('-n', 'default', 'delete', 'pod', 'first', '--force', '--grace-period=0')
  },
)

onlyOn(
  'real',
  feature,
  'what an uninstall kept is taken up again; with removeData all goes, but what others hold',
  async () => {
    // A definition that another chart left carries no mark of a release of ours: Helm asks for --take-ownership.
    const marks = ['meta.helm.sh/release-name-', 'meta.helm.sh/release-namespace-']
    await kubectl('annotate', 'crd', 'spiderippools.spiderpool.spidernet.io', ...marks)
    const install = ['install', 'spiderpool', chart, '--create-namespace', ...documented]
    const refused = await cluster.helm(...install, '--namespace', namespace)
    assert.match(refused.text, /spiderippools.*invalid ownership metadata/)
    await Promise.all([helm(...install, '--take-ownership'), waitForPods()])
    assert.equal((await objectsOf(cluster, 'ipPool'))[0]?.metadata.labels?.['mine'], 'yes')
    await waitFor('the leader holds the pool again', 30_000, async () => {
      const held = (await objectsOf(cluster, 'ipPool'))[0]?.metadata.finalizers ?? []
      return held.includes(spiderFinalizer) ? true : undefined
    })
    // One object of each kind that our finalizer is on, as users and earlier releases leave them; one is held by others too.
    const held = [spiderFinalizer]
    await cluster.api.create(
      resources.ipPool,
      poolNamed('foreign', { subnet: '10.9.0.0/24' }, [...held, 'example.com/hold']),
      never,
    )
    for (const [kind, object] of leftovers()) await cluster.api.create(resources[kind], object, never)
    const removal = ['--reset-then-reuse-values', '--set=spiderpoolController.cleanup.removeData=true']
    await helm('upgrade', 'spiderpool', chart, ...removal)
    await kubectl('-n', namespace, 'scale', 'deployment', 'spiderpool-controller', '--replicas=0')
    await waitFor('the controllers are gone', 60_000, async () => {
      const label = 'app.kubernetes.io/component=spiderpool-controller'
      return (await kubectl('-n', namespace, 'get', 'pods', '-l', label, '-o', 'name')) === ''
        ? true
        : undefined
    })
    await cluster.api.create(resources.endpoint, endpointLeft, never)
    await helm('uninstall', 'spiderpool')
    await assertNothingBlocks('after-removal')
    const definitions = await kubectl('get', 'crd', '-o', 'name')
    assert.deepEqual(definitions.match(/spider\w+\.spiderpool\.spidernet\.io/g), [
      'spiderippools.spiderpool.spidernet.io',
    ])
    const [pool, ...others] = await objectsOf(cluster, 'ipPool')
    assert.deepEqual(others, [])
    assert.deepEqual(pool?.metadata.finalizers, ['example.com/hold'])
    await kubectl(
      'patch',
      'spiderippool',
      'foreign',
      '--type=merge',
      '-p',
      '{"metadata":{"finalizers":null}}',
    )
    await kubectl('delete', 'crd', 'spiderippools.spiderpool.spidernet.io', '--timeout=60s')
  },
)

const budget = 'spiderpoolController.podDisruptionBudget.minAvailable'
const macvlan = 'multus.defaultNetwork.cniType=macvlan'
/** `--set` to what it is answered. */
const wrongValues: readonly (readonly [string, RegExp])[] = [
  ['spiderpoolController.replicas=two', /spiderpoolController\/replicas'?: got string, want integer/],
  ['spiderpoolController.replicas=0', /spiderpoolController\/replicas'?: minimum: got 0, want 1/],
  ['coordinator.mode=fast', /coordinator\/mode'?: value must be one of 'auto', 'underlay'/],
  ['ipam.gc.gcAll.intervalInSecond=1', /gcAll\/intervalInSecond'?: minimum: got 1, want 5/],
  ['ipam.enableIPv5=true', /ipam'?: additional properties 'enableIPv5'/],
  ['multus.defaultNetwork.cniType=macvlam', /cniType'?: value must be one of 'macvlan'/],
  ['multus.defaultNetwork.cniType=ipvlan', /cniType is "ipvlan", and this release.*: write macvlan, or/],
  [`${macvlan},multus.defaultNetwork.macvlan.master={eth0}`, /enableCoordinator is not false.*: write false/],
  [`${macvlan},multus.defaultNetwork.macvlan.master={a,b}`, /macvlan\.master is \["a","b"\]: write one/],
  [`${macvlan},multus.defaultNetwork.macvlan.vlanID=5`, /macvlan\.vlanID is 5.*: make it on the nodes/],
  ['clusterDefaultPool.installIPv4IPPool=true', /clusterDefaultPool\.ipv4Subnet is empty: write the CIDR/],
  ['clusterDefaultPool.ipv4Subnet=10.6.0.0', /ipv4Subnet "10\.6\.0\.0" is no IPv4 CIDR: write/],
  ['clusterDefaultPool.ipv6Gateway=10.6.0.1', /ipv6Gateway "10\.6\.0\.1" is no IPv6 address/],
  ['clusterDefaultPool.ipv4IPRanges={10.6.0.0/28}', /ipv4IPRanges\[0\] "10\.6\.0\.0\/28" is no range/],
  ['coordinator.hijackCIDR={10.0.0/8}', /hijackCIDR\[0\] "10\.0\.0\/8" is neither an address nor a CIDR/],
  ['ipam.enableIPv4=false,ipam.enableIPv6=false', /are both false.*: turn one on/],
  [`${budget}=2`, /minAvailable 2 leaves none of 2 replicas/],
  [`${budget}=51%`, /minAvailable 51% leaves none of 2 replicas/],
  ['spiderpoolController.webhookPort=5710', /webhookPort and spiderpoolAgent\.httpPort are both 5710/],
  [
    'global.imageRegistryOverride=https://reg/',
    /imageRegistryOverride "https:\/\/reg\/" is no registry: write/,
  ],
  ['spiderpoolController.tls.method=certmanager', /issuerName is empty/],
  ['spiderpoolController.prometheus.serviceMonitor.install=true', /prometheus\.enabled is false/],
]

onlyOn(
  'real',
  feature,
  'wrong values are refused with their place, ignored ones named; manifests/ holds what the chart renders',
  async () => {
    const network = '--set=multus.multusCNI.defaultCniCRName=mine'
    for (const [values, message] of wrongValues) {
      const { ok, text } = await cluster.helm('template', 'x', chart, network, '--set', values)
      assert.equal(ok, false, values)
      assert.match(text, message)
    }
    const bare = await cluster.helm('template', 'x', chart)
    assert.match(bare.text, /defaultNetwork and multus\.multusCNI\.defaultCniCRName are both empty.*: write/)
    const ignored = [
      '--set=rdma.install=true',
      '--set=ipam.enableIPConflictDetection=true',
      '--set=plugins.installCNI=false',
      '--set=spiderpoolAgent.securityContext.privileged=true',
    ]
    const { text } = await cluster.helm('install', 'x', chart, '--dry-run=client', network, ...ignored)
    assert.match(
      text,
      /no effect in this release:\n- ipam\.enableIPConflictDetection\n- spiderpoolAgent\.securityContext\n(- plugins\n)?- rdma\n/,
    )
    assert.match(text, /no registry is set.* spiderpool-controller:\S+, spiderpool-agent:/)
    const rendered = renderManifests(root, cluster.helmPath)
    for (const [path, expected] of rendered)
      assert.equal(readFileSync(join(root, path), 'utf8'), expected, 'run: npm run manifests')
    assert.doesNotMatch(rendered.get(installManifest) ?? '', /kind: CustomResourceDefinition/)
    for (const path of rendered.keys()) await kubectl('apply', '--dry-run=server', '-f', join(root, path))
  },
)

/** The `--set` flags of the command in docs/install.md. */
function documentedValues(): readonly string[] {
  const text = readFileSync(join(root, 'docs/install.md'), 'utf8')
  const [command = ''] = /^ {4}helm install (?:.*\\\n)*.*$/m.exec(text) ?? []
  const values = [...command.matchAll(/--set '?([^\s']+)/g)].map(([, value = '']) => value)
  assert.ok(values.length > 6, command)
  return values
    .filter((value) => !value.startsWith('global.imageRegistryOverride='))
    .map((value) => `--set=${value}`)
}

function poolNamed(name: string, spec: object, finalizers: readonly string[] = []): KubeObject {
  const apiVersion = 'spiderpool.spidernet.io/v2beta1'
  return { apiVersion, kind: 'SpiderIPPool', metadata: { name, finalizers }, spec } as KubeObject
}

/** Made when no controller runs: one would remove it. */
const endpointLeft = {
  apiVersion: 'spiderpool.spidernet.io/v2beta1',
  kind: 'SpiderEndpoint',
  metadata: { name: 'leftover', namespace: 'default', finalizers: [spiderFinalizer] },
}

function leftovers(): readonly (readonly [keyof typeof resources, KubeObject])[] {
  const object = (kind: string, spec: object, place: object = {}): KubeObject => {
    const metadata = { name: 'leftover', finalizers: [spiderFinalizer], ...place }
    return { apiVersion: 'spiderpool.spidernet.io/v2beta1', kind, metadata, ...spec } as KubeObject
  }
  return [
    ['subnet', object('SpiderSubnet', { spec: { subnet: '10.10.0.0/24' } })],
    ['reservedIp', object('SpiderReservedIP', { spec: { ips: ['10.11.0.1'] } })],
    ['ipClaim', object('SpiderIPClaim', { spec: { ips: ['10.13.0.1'] } }, { namespace: 'default' })],
    [
      'coordinator',
      object('SpiderCoordinator', { spec: { mode: 'auto', podCIDRType: 'none', tunePodRoutes: true } }),
    ],
    [
      'multusConfig',
      object(
        'SpiderMultusConfig',
        { spec: { cniType: 'custom', customCNI: '{"cniVersion":"0.3.1","type":"bridge"}' } },
        { namespace: 'default' },
      ),
    ],
    [
      'ipBlock',
      object('SpiderIPBlock', { spec: { cidr: '10.12.0.0/26', term: 1 } }, { name: 'v4-0a0c0000-26' }),
    ],
  ]
}

/** Creates pods and changes a pool all the time; both must always be let through. */
function keepWriting(): { end(): Promise<{ readonly count: number; readonly refused: readonly string[] }> } {
  const stop = new AbortController()
  const refused: string[] = []
  let count = 0
  const loop = (async () => {
    for (let round = 1; !stop.signal.aborted; round++) {
      try {
        const path = '/api/v1/namespaces/default/pods?dryRun=All'
        const pod = {
          metadata: { name: `probe-${round}` },
          spec: { containers: [{ name: 'a', image: 'pause' }] },
        }
        await cluster.api.request('POST', path, pod, never)
        const patch = { type: 'merge', body: { metadata: { labels: { round: String(round) } } } } as const
        await cluster.api.patch(resources.ipPool, { name: 'default-v4-ippool' }, patch, never)
        count += 2
      } catch (error) {
        refused.push(`round ${round}: ${String(error)}`)
      }
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  })()
  return {
    end: async () => {
      stop.abort()
      await loop
      return { count, refused }
    },
  }
}
