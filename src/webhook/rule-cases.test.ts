// The cases of all rules on the pure review; test/integration/webhook-rules.test.ts runs the same ones on API servers.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ruleCases } from '../../test/support/webhook-cases/cases.ts'
import {
  type CaseObject,
  type Given,
  numbered,
  type RuleCase,
} from '../../test/support/webhook-cases/rule-case.ts'
import type {
  NetworkAttachmentDefinition,
  SpiderIpPool,
  SpiderMultusConfig,
  SpiderSubnet,
} from '../api/index.ts'
import type { AdmissionResponse } from './admission-review.ts'
import { recordOf } from './admission-review.ts'
import { admit, answer, type Case, patched, settings } from './testing/reviewing.ts'
import type { UsedIp, WebhookWorld } from './world.ts'

const podInject = {
  installNamespace: 'kube-system',
  excludedNamespaces: [],
  includedNamespaces: [],
  trustedNamespaces: [],
  masterNics: false,
}

function objectOf({ kind, name, metadata, spec, status }: CaseObject, world: Partial<WebhookWorld> = {}) {
  const namespace = ['SpiderMultusConfig', 'Pod', 'NetworkAttachmentDefinition'].includes(kind)
    ? 'default'
    : undefined
  const object = {
    apiVersion: kind === 'Pod' ? 'v1' : 'spiderpool.spidernet.io/v2beta1',
    kind,
    metadata: { name, ...(namespace === undefined ? {} : { namespace }), ...metadata },
    spec,
  }
  const isMutated = kind !== 'SpiderIPBlock' && kind !== 'NetworkAttachmentDefinition'
  const stored = isMutated ? patched({ kind, object, world }) : object
  const { metadata: withUid } = stored as { readonly metadata: object }
  return {
    ...stored,
    metadata: { ...withUid, uid: `${name}-uid` },
    ...(status === undefined ? {} : { status }),
  }
}

function usedIpsIn(given: readonly Given[]): readonly UsedIp[] {
  const blocks = given.filter(({ kind }) => kind === 'SpiderIPBlock')
  return blocks.flatMap(({ spec }) =>
    Object.entries(recordOf(recordOf(spec)['entries'])).map(([ip, entry]) => {
      return { ip, holder: `pod "${String(recordOf(entry)['pod'])}"` }
    }),
  )
}

function worldOf({ given = [], object, old, without }: RuleCase): Partial<WebhookWorld> {
  const enabled = { ...settings, guardDeletion: true, podInject, enableIPv6: without !== 'IPv6' }
  const ofKind = <T>(kind: string): readonly T[] => {
    const found = given.filter((one) => one.kind === kind)
    return found.map((one) => objectOf(one, { settings: enabled }) as T)
  }
  const subnets = ofKind<SpiderSubnet>('SpiderSubnet')
  const attachment = ofKind<NetworkAttachmentDefinition>('NetworkAttachmentDefinition')[0]
  const self = old === undefined ? [] : [objectOf(old, { settings: enabled, subnets })]
  const isPool = (object ?? old)?.kind === 'SpiderIPPool'
  return {
    settings: enabled,
    subnets,
    pools: [...ofKind<SpiderIpPool>('SpiderIPPool'), ...(isPool ? (self as unknown as SpiderIpPool[]) : [])],
    usedIps: usedIpsIn(given),
    ...(attachment === undefined ? {} : { attachment }),
    injection: { namespace: undefined, configs: ofKind<SpiderMultusConfig>('SpiderMultusConfig') },
  }
}

function respond(rule: RuleCase): AdmissionResponse {
  const world = worldOf(rule)
  const { object, old } = rule
  const kind = (object ?? old)?.kind ?? ''
  const oldObject = old === undefined ? null : objectOf(old, world)
  if (object === undefined) return answer('validate', { kind, operation: 'DELETE', oldObject, world })
  const { name, metadata, spec } = object
  const fresh = { apiVersion: 'x', kind, metadata: { name, namespace: 'default', ...metadata }, spec }
  const changed =
    oldObject === null ? fresh : { ...oldObject, metadata: { ...oldObject.metadata, ...metadata }, spec }
  const item: Case = { kind, object: changed, oldObject, world }
  return kind === 'Pod' ? answer('mutate', item) : admit(item)
}

for (const [index, rule] of ruleCases.entries()) {
  const { refused } = rule
  void test(`${rule.rule} ${refused === undefined ? 'accepts' : 'refuses'} ${rule.what}`, () => {
    const one = numbered(rule, 10 + (index % 200))
    const response = respond(one)
    const message = response.status?.message ?? ''
    if (one.refused === undefined) {
      assert.equal(response.allowed, true, message)
      return
    }
    const { webhook = [], code = 422 } = one.refused
    assert.equal(response.allowed, false)
    assert.equal(response.status?.code, code)
    for (const word of webhook) assert(message.includes(word), `${word} is not in: ${message}`)
    if (code === 422) assert.equal(response.status?.details?.causes[0]?.field, webhook[0])
  })
}

void test('every rule has a case that is accepted and one that is refused, and our webhook knows every refusal', () => {
  const rules = [...new Set(ruleCases.map(({ rule }) => rule))]
  const lacking = rules.filter((rule) => {
    const cases = ruleCases.filter((one) => one.rule === rule)
    return (
      cases.every(({ refused }) => refused === undefined) ||
      cases.every(({ refused }) => refused !== undefined)
    )
  })
  assert.deepEqual(lacking, [])
  const all = { P: 24, S: 13, R: 4, C: 12, I: 6, M: 20, W: 3 }
  const expected = Object.entries(all).flatMap(([letter, count]) =>
    Array.from({ length: count }, (_, i) => `${letter}-${String(i + 1).padStart(2, '0')}`),
  )
  assert.deepEqual(rules.toSorted(), expected.toSorted())
  const unknown = ruleCases.filter(({ refused }) => refused !== undefined && refused.webhook === undefined)
  assert.deepEqual(unknown, [])
})
