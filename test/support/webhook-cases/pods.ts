import type { CaseObject, Given, RuleCase } from './rule-case.ts'

const rdma = 'cni.spidernet.io/rdma-resource-inject'
const network = 'cni.spidernet.io/network-resource-inject'
const networks = 'k8s.v1.cni.cncf.io/networks'

const pod = (annotations: Readonly<Record<string, string>>): CaseObject => ({
  kind: 'Pod',
  name: 'pod-{n}',
  metadata: { annotations },
  spec: { containers: [{ name: 'main', image: 'registry.example/x:1' }] },
})
const injected: Given = {
  kind: 'SpiderMultusConfig',
  name: 'm-{n}',
  metadata: { annotations: { [rdma]: 'fabric-{n}' } },
  spec: {
    cniType: 'macvlan',
    enableCoordinator: false,
    macvlan: { master: ['ens192'], rdmaResourceName: 'acme.io/left', ippools: { ipv4: ['p'] } },
  },
}
/** Anybody may write the label. */
const unfit: Given = {
  kind: 'SpiderMultusConfig',
  name: 'm-{n}',
  metadata: { labels: { [network]: 'fabric-{n}' } },
  spec: { cniType: 'ovs', ovs: { bridge: 'br1' } },
}

export const podCases: readonly RuleCase[] = [
  {
    rule: 'W-01',
    what: 'a pod that asks for networks that nobody offers',
    object: pod({ [rdma]: 'nothing-{n}' }),
    refused: {
      webhook: [rdma, '"nothing-{n}"', 'selects no SpiderMultusConfig', 'annotate a SpiderMultusConfig'],
      code: 403,
    },
  },
  {
    rule: 'W-01',
    what: 'a pod that asks for networks',
    given: [injected],
    object: pod({ [rdma]: 'fabric-{n}' }),
  },
  { rule: 'W-01', what: 'a pod that asks for nothing', object: pod({}) },
  {
    rule: 'W-02',
    what: 'a pod that asks for a network that cannot be injected',
    given: [unfit],
    object: pod({ [network]: 'fabric-{n}' }),
    refused: {
      webhook: [
        network,
        '"fabric-{n}"',
        'selects SpiderMultusConfig default/m-{n}',
        'cannot be injected into pods',
        'use another cniType',
      ],
      code: 403,
    },
  },
  {
    rule: 'W-02',
    what: 'a pod that asks for a network that can',
    given: [injected],
    object: pod({ [rdma]: 'fabric-{n}', [networks]: 'kube-system/net-a' }),
  },
  {
    rule: 'W-03',
    what: 'a pod with unreadable networks',
    given: [injected],
    object: pod({ [rdma]: 'fabric-{n}', [networks]: 'a/b/c' }),
    refused: {
      webhook: [networks, '"a/b/c"', 'more than one "/"', 'write [namespace/]name[@interface]'],
      code: 403,
    },
  },
  {
    rule: 'W-03',
    what: 'a pod with readable networks',
    given: [injected],
    object: pod({ [rdma]: 'fabric-{n}', [networks]: '[{"name":"net-a","interface":"net7"}]' }),
  },
]
