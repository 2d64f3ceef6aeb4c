// The chapters of the affinity document, as data: what is applied, and what must then be so.
import type { Check } from './check.ts'
import { documentsOf, rangeOf, readManifest, withReplicas } from './manifests.ts'
import type { PingKind } from './pings.ts'
import {
  hasProcess,
  isRefused,
  isRefusedByServer,
  prints,
  runsWithAddress,
  type Subject,
  specIs,
  statusLists,
  takesAll,
} from './probes.ts'

export type Step =
  /** Manifests of a file of the document, changed where `change` says how. */
  | {
      readonly do: 'send'
      readonly verb: 'apply' | 'create'
      readonly file: string
      readonly change?: { readonly text: string; readonly says: string }
    }
  | { readonly do: 'namespace'; readonly name: string }
  | { readonly do: 'delete'; readonly file: string }
  | { readonly do: 'check'; readonly check: Check }
  /** Pings between all pods that run and the gateways of their networks. */
  | { readonly do: 'ping'; readonly kinds: readonly PingKind[] }

export interface Chapter {
  readonly title: string
  readonly steps: readonly Step[]
  /** Namespaces that it makes, and removes at its end. */
  readonly namespaces: readonly string[]
}

const check = (item: Check): Step => ({ do: 'check', check: item })
const send = (verb: 'apply' | 'create', file: string): Step => ({ do: 'send', verb, file })
const inDefault = (app: string): Subject => ({ app, namespace: 'default' })
const gatewayPings: Step = { do: 'ping', kinds: ['pod to gateway', 'gateway to pod'] }
const allPings: Step = {
  do: 'ping',
  kinds: ['same node', 'across nodes', 'pod to gateway', 'gateway to pod'],
}

const poolHeader = /^NAME +VERSION +SUBNET +ALLOCATED-IP-COUNT +TOTAL-IP-COUNT +DEFAULT$/
const podHeader = /NAME +READY +STATUS +RESTARTS +AGE +IP +NODE/
const listPools = ['get', 'spiderippool']

function poolRow(name: string, subnet: string, counts: string, isDefault = false): RegExp {
  const [allocated = '', total = ''] = counts.split('/')
  const cells = [name, '4', subnet.replaceAll('.', '\\.'), allocated, total, String(isDefault)]
  return new RegExp(`^${cells.join(' +')}$`)
}

const appRange = rangeOf('10.6.168.151-10.6.168.160', 16)
const sharedRange = rangeOf('172.18.41.44-172.18.41.47', 24)
const nodeRange = rangeOf('10.6.168.101-10.6.168.110', 16)
const tenantRange = rangeOf('10.6.168.111-10.6.168.120', 16)
const secondRange = rangeOf('10.7.168.151-10.7.168.160', 16)

const ethPools = '14-test-ippool-eth.yaml'
const [ethPool = ''] = documentsOf(readManifest(ethPools))

const application: Chapter = {
  title: 'Application affinity',
  namespaces: [],
  steps: [
    send('apply', '01-test-pod-ippool-all-fields.yaml'),
    send('apply', '02-test-pod-ippool.yaml'),
    check(
      specIs(['get', 'spiderippool', 'test-pod-ippool'], {
        has: ['podAffinity'],
        hasNot: ['nodeName', 'namespaceName', 'multusName'],
      }),
    ),
    send('create', '03-test-app-3.yaml'),
    check(runsWithAddress(inDefault('test-app-3'), { range: appRange, count: 1 })),
    check(prints(listPools, [poolHeader, poolRow('test-pod-ippool', '10.6.0.0/16', '1/10')])),
    check(
      prints(
        ['get', 'po', '-l', 'app=test-app-3', '-o', 'wide'],
        [podHeader, /^test-app-3-\w+-\w{5} +1\/1 +Running +0 +\S+ +10\.6\.168\.1\d\d +\S+/],
      ),
    ),
    check(hasProcess(inDefault('test-app-3'))),
    send('create', '04-test-unmatch-labels.yaml'),
    check(
      isRefused(inDefault('test-unmatch-labels'), {
        count: 1,
        pool: 'test-pod-ippool',
        because: /affinity/i,
        why: 'its podAffinity does not match',
      }),
    ),
    check(
      isRefusedByServer(
        'test-ippool-eth0 is refused beside test-pod-ippool, as both have the same addresses',
        ethPool,
        ['test-ippool-eth0', 'test-pod-ippool', '10.6.168.151-10.6.168.160'],
      ),
    ),
    gatewayPings,
    check(
      prints(
        ['get', 'po', '-l', 'app=test-unmatch-labels', '-o', 'wide'],
        [podHeader, /^test-unmatch-labels-\w+-\w{5} +0\/1 +ContainerCreating +0 +\S+ +<none> +\S+/],
      ),
    ),
  ],
}

const sharedFile = '06-shared-static-ippool-deploy.yaml'
const [sharedOne = '', sharedTwo = ''] = documentsOf(readManifest(sharedFile))

const shared: Chapter = {
  title: 'One pool shared by two applications',
  namespaces: [],
  steps: [
    send('apply', '05-shared-static-ipv4-ippool.yaml'),
    send('apply', sharedFile),
    check(runsWithAddress(inDefault('static'), { range: sharedRange, count: 4 })),
    check(takesAll(sharedRange)),
    check(prints(listPools, [poolHeader, poolRow('shared-static-ipv4-ippool', '172.18.41.0/24', '4/4')])),
    allPings,
    {
      do: 'send',
      verb: 'apply',
      file: sharedFile,
      change: { text: withReplicas(sharedOne, 3), says: 'with replicas: 3 for the first Deployment' },
    },
    check(
      isRefused(inDefault('static'), {
        count: 1,
        pool: 'shared-static-ipv4-ippool',
        because: /none is free/,
        why: 'all its addresses are in use',
      }),
    ),
    {
      do: 'send',
      verb: 'apply',
      file: sharedFile,
      change: { text: withReplicas(sharedTwo, 1), says: 'with replicas: 1 for the second Deployment' },
    },
    check({
      ...runsWithAddress(inDefault('static'), { range: sharedRange, count: 4 }),
      name: 'the fifth pod starts by itself with the address that became free',
    }),
    check(takesAll(sharedRange)),
  ],
}

function nodeSteps(pool: string): readonly Step[] {
  return [
    send('apply', pool),
    send('create', '09-test-app-1.yaml'),
    check(runsWithAddress(inDefault('test-app-1'), { range: nodeRange, count: 1, nodes: ['node1'] })),
    check(
      isRefused(inDefault('test-app-1'), {
        count: 2,
        pool: 'test-node1-ippool',
        because: /node/i,
        why: 'its nodes do not match',
      }),
    ),
    check(prints(listPools, [poolHeader, poolRow('test-node1-ippool', '10.6.0.0/16', '1/10')])),
  ]
}

const node: Chapter = {
  title: 'Node affinity: by nodeAffinity, then by nodeName',
  namespaces: [],
  steps: [
    ...nodeSteps('07-test-node1-ippool-node-affinity.yaml'),
    gatewayPings,
    { do: 'delete', file: '09-test-app-1.yaml' },
    ...nodeSteps('08-test-node1-ippool-node-name.yaml'),
    check(
      specIs(['get', 'spiderippool', 'test-node1-ippool'], { has: ['nodeName'], hasNot: ['nodeAffinity'] }),
    ),
  ],
}

function tenantSteps(pool: string): readonly Step[] {
  return [
    send('apply', pool),
    send('create', '12-test-app-2.yaml'),
    check(runsWithAddress({ app: 'test-app-2', namespace: 'test-ns1' }, { range: tenantRange, count: 1 })),
    send('create', '13-test-other-ns.yaml'),
    check(
      isRefused(
        { app: 'test-other-ns', namespace: 'test-ns2' },
        {
          count: 1,
          pool: 'test-ns1-ippool',
          because: /namespace/i,
          why: 'its namespaces do not match',
        },
      ),
    ),
    check(prints(listPools, [poolHeader, poolRow('test-ns1-ippool', '10.6.0.0/16', '1/10')])),
  ]
}

const tenant: Chapter = {
  title: 'Tenant affinity: by namespaceAffinity, then by namespaceName',
  namespaces: ['test-ns1', 'test-ns2'],
  steps: [
    { do: 'namespace', name: 'test-ns1' },
    { do: 'namespace', name: 'test-ns2' },
    ...tenantSteps('10-test-ns1-ippool-namespace-affinity.yaml'),
    check(
      prints(
        ['get', 'po', '-l', 'app=test-app-2', '-A', '-o', 'wide'],
        [
          /^NAMESPACE +NAME/,
          /^test-ns1 +test-app-2-\w+-\w{5} +1\/1 +Running +0 +\S+ +10\.6\.168\.1[12]\d +\S+/,
        ],
      ),
    ),
    gatewayPings,
    { do: 'delete', file: '12-test-app-2.yaml' },
    { do: 'delete', file: '13-test-other-ns.yaml' },
    ...tenantSteps('11-test-ns1-ippool-namespace-name.yaml'),
    check(
      specIs(['get', 'spiderippool', 'test-ns1-ippool'], {
        has: ['namespaceName'],
        hasNot: ['namespaceAffinity'],
      }),
    ),
  ],
}

const nic: Chapter = {
  title: 'Two NICs, each with the default pool of its network, by multusName',
  namespaces: [],
  steps: [
    send('apply', ethPools),
    send('create', '15-test-app.yaml'),
    check(runsWithAddress(inDefault('test-app'), { range: appRange, count: 1, nic: 'eth0' })),
    check(runsWithAddress(inDefault('test-app'), { range: secondRange, count: 1, nic: 'net1' })),
    check(statusLists(inDefault('test-app'), ['eth0', 'net1'])),
    check(
      prints(listPools, [
        poolHeader,
        poolRow('test-ippool-eth0', '10.6.0.0/16', '1/10', true),
        poolRow('test-ippool-eth1', '10.7.0.0/16', '1/10', true),
      ]),
    ),
    gatewayPings,
  ],
}

/** The document's chapters in its order. */
export const chapters: readonly Chapter[] = [application, shared, node, tenant, nic]
