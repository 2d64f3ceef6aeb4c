import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { implementationLabel, type Pod } from '../../api/index.ts'
import { trimPod } from '../known-pod.ts'
import { isReferenceAgent } from './reference-agents.ts'

const component = { 'app.kubernetes.io/component': 'spiderpool-agent' }
const image = 'ghcr.io/spidernet-io/spiderpool/spiderpool-agent'
const daemon = {
  apiVersion: 'apps/v1',
  kind: 'DaemonSet',
  name: 'spiderpool-agent',
  uid: 'd',
  controller: true,
}
const podOf = (labels: Record<string, string>, images: readonly string[], phase = 'Running'): Pod => ({
  metadata: { name: 'a', namespace: 'kube-system', labels, ownerReferences: [daemon] },
  spec: {
    nodeName: 'n1',
    hostNetwork: true,
    containers: images.map((one, at) => ({ name: `c${at}`, image: one })),
  },
  status: { phase },
})
const agent = podOf(component, [`${image}:v1`])
const changed = (metadata: Partial<Pod['metadata']>, spec: Pod['spec'] = {}): Pod => ({
  ...agent,
  metadata: { ...agent.metadata, ...metadata },
  spec: { ...agent.spec, ...spec },
})
const ownedBy = (more: Partial<typeof daemon>) => changed({ ownerReferences: [{ ...daemon, ...more }] })
const ours = { [implementationLabel.key]: implementationLabel.value }

const cases: readonly (readonly [string, Pod, boolean])[] = [
  ['the label of its chart', podOf(component, ['x']), true],
  ['its image by tag, with other labels', podOf({ app: 'x' }, [`${image}:v1.2.1`]), true],
  ['its image by digest', podOf({}, [`registry.local/${image}@sha256:00`]), true],
  ['its image from a mirror', podOf({}, ['spiderpool-agent']), true],
  ['our label beside it', podOf({ ...component, ...ours }, [`${image}:v2`]), false],
  ['a label of ours with another value', podOf({ ...component, [implementationLabel.key]: 'go' }, []), true],
  ['an agent that has finished', podOf(component, [`${image}:v1`], 'Failed'), false],
  ['its controller', podOf({ 'app.kubernetes.io/component': 'spiderpool-controller' }, []), false],
  ['an image of a longer name', podOf({}, ['x/spiderpool-agent-exporter:v1', 'my-spiderpool-agent']), false],
  [
    'a tenant’s pod with label and image alone',
    changed({ ownerReferences: [] }, { hostNetwork: false }),
    false,
  ],
  ['one that nothing controls', changed({ ownerReferences: [] }), false],
  ['one of a Deployment', ownedBy({ kind: 'ReplicaSet' }), false],
  ['one of another group’s DaemonSet', ownedBy({ apiVersion: 'x.io/v1' }), false],
  ['one whose DaemonSet does not control it', ownedBy({ controller: false }), false],
  ['one in a network of its own', changed({}, { hostNetwork: false }), false],
  ['one without a node', changed({}, { nodeName: '' }), false],
  ['a pod without anything', { metadata: { name: 'x' } }, false],
]
for (const [what, pod, expected] of cases) {
  void test(`isReferenceAgent() is ${expected} for ${what}, also of what the cache keeps`, () => {
    assert.equal(isReferenceAgent(pod), expected)
    assert.equal(isReferenceAgent(trimPod(pod)), expected)
  })
}

void test('the agents that the chart installs carry our label', () => {
  const chart = readFileSync(
    join(import.meta.dirname, '../../../charts/spiderpool/templates/agent.yaml'),
    'utf8',
  )
  const [, template = ''] = chart.split(/^ {2}template:$/m)
  const [labels = ''] = template.split(/^ {6}annotations:$/m)
  assert.match(labels, new RegExp(`^ {8}${implementationLabel.key}: ${implementationLabel.value}$`, 'm'))
})
