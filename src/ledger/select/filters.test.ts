import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { SpiderIpPool } from '../../api/index.ts'
import { anInput, aPool } from '../testing/selection-kit.ts'
import { explainPool, formatVerdict, judgePool } from './filters.ts'
import { poolRules, type RuleCode } from './rules.ts'
import { selectPools } from './select-pools.ts'

const eth0 = { nic: 'eth0', version: 4 } as const

/** Five conditions of a pool, each with a spec that fits the pod of `anInput` and one that does not. */
const conditions: readonly {
  readonly code: RuleCode
  readonly fits: Partial<SpiderIpPool['spec']>
  readonly fails: Partial<SpiderIpPool['spec']>
}[] = [
  {
    code: 'node-affinity-mismatch',
    fits: { nodeAffinity: { matchLabels: { zone: 'a' } } },
    fails: { nodeAffinity: { matchLabels: { zone: 'b' } } },
  },
  {
    code: 'namespace-affinity-mismatch',
    fits: { namespaceAffinity: { matchLabels: { team: 'x' } } },
    fails: { namespaceAffinity: { matchLabels: { team: 'y' } } },
  },
  {
    code: 'pod-affinity-mismatch',
    fits: { podAffinity: { matchLabels: { app: 'web' } } },
    fails: { podAffinity: { matchLabels: { app: 'db' } } },
  },
  { code: 'network-mismatch', fits: { multusName: ['macvlan-ens192'] }, fails: { multusName: ['other'] } },
  { code: 'master-subnet-mismatch', fits: { subnet: '10.6.0.0/16' }, fails: { subnet: '10.7.0.0/16' } },
]

for (let failing = 0; failing < 2 ** conditions.length; failing++) {
  const failed = conditions.filter((_, at) => (failing & (1 << at)) !== 0)
  void test(`a pool bound in five ways is refused by ${failed.map(({ code }) => code).join(', ') || 'none'}`, () => {
    const spec = conditions.map((one) => (failed.includes(one) ? one.fails : one.fits))
    const pool = aPool('p', Object.assign({}, ...spec) as Partial<SpiderIpPool['spec']>)
    const input = anInput([pool], { masterAddresses: ['fe80::1/64', '10.6.3.4/24'] })
    const results = explainPool(pool, eth0, input)
    assert.deepEqual(
      results.filter(({ isPassed }) => !isPassed).map(({ code }) => code),
      failed.map(({ code }) => code),
    )
    const verdict = judgePool(pool, eth0, input)
    assert.equal(verdict.kind === 'reject' ? verdict.code : undefined, failed[0]?.code)
    const named = {
      ...input,
      pod: { ...input.pod, annotations: { 'ipam.spidernet.io/ippool': '{"ipv4":["p"]}' } },
    }
    assert.equal(selectPools(named).candidates[0]?.pools.length, failed.length === 0 ? 1 : 0)
  })
}

void test('a network that matches does not spare the pool the interface behind the NIC, nor an application the network', () => {
  const pool = aPool('p', { multusName: ['macvlan-ens192'], subnet: '10.7.0.0/16' })
  const verdict = judgePool(pool, eth0, anInput([pool], { masterAddresses: ['10.6.3.4/24'] }))
  assert.equal(
    formatVerdict(verdict),
    "p: subnet 10.7.0.0/16 not found on pod's PF: the interface behind eth0 has [10.6.3.4/24]",
  )
  const nowhere = judgePool(pool, eth0, anInput([pool], { masterAddresses: [] }))
  assert.match(formatVerdict(nowhere), /no interface with addresses was found behind eth0/)
})

const application = {
  'ipam.spidernet.io/app-api-group': 'apps',
  'ipam.spidernet.io/app-api-version': 'v1',
  'ipam.spidernet.io/app-kind': 'Deployment',
  'ipam.spidernet.io/app-namespace': 'default',
  'ipam.spidernet.io/app-name': 'web',
}
const autoPool = (
  matchLabels: Record<string, string>,
  spec: Partial<SpiderIpPool['spec']> = {},
): SpiderIpPool =>
  aPool(
    'auto',
    { podAffinity: { matchLabels }, ...spec },
    { labels: { 'ipam.spidernet.io/owner-application-name': 'web' } },
  )
const deployment = { apiVersion: 'apps/v1', kind: 'Deployment', namespace: 'default', name: 'web', uid: 'u' }

void test('a pool of one application is for the pods that it is on top of, and for no labels', () => {
  const cases: readonly (readonly [Record<string, string>, typeof deployment | undefined, boolean])[] = [
    [application, deployment, true],
    [application, { ...deployment, name: 'web2' }, false],
    [application, { ...deployment, kind: 'StatefulSet' }, false],
    [application, { ...deployment, namespace: 'other' }, false],
    [application, { ...deployment, apiVersion: 'apps.example.io/v1' }, false],
    [application, { ...deployment, apiVersion: 'apps/v1beta1' }, false],
    [application, undefined, false],
    [{ app: 'web' }, deployment, false],
  ]
  for (const [labels, owner, isPassed] of cases) {
    const pool = autoPool(labels)
    const plain = anInput([pool])
    const input = {
      ...plain,
      pod: { ...plain.pod, labels: application, ...(owner === undefined ? {} : { owner }) },
    }
    const verdict = judgePool(pool, eth0, input)
    assert.equal(verdict.kind === 'pass', isPassed, JSON.stringify({ labels, owner }))
    if (verdict.kind === 'reject') assert.equal(verdict.code, 'application-mismatch')
  }
  const core = { 'ipam.spidernet.io/app-api-group': '', 'ipam.spidernet.io/app-kind': 'Pod' }
  const pool = autoPool({ ...application, ...core })
  const input = anInput([pool])
  const owner = { ...deployment, apiVersion: 'v1', kind: 'Pod' }
  assert.equal(judgePool(pool, eth0, { ...input, pod: { ...input.pod, owner } }).kind, 'pass')
})

void test('the application that fits spares a pool none of the rules after it', () => {
  const bound = { multusName: ['other'], subnet: '10.7.0.0/16' }
  const pool = autoPool(application, bound)
  const plain = anInput([pool], { masterAddresses: ['10.6.3.4/24'] })
  const input = { ...plain, pod: { ...plain.pod, owner: deployment } }
  const failed = explainPool(pool, eth0, input).filter(({ isPassed }) => !isPassed)
  assert.deepEqual(
    failed.map(({ code }) => code),
    ['network-mismatch', 'master-subnet-mismatch'],
  )
})

void test('explainPool() names every rule, with the values compared, also where the pool fits', () => {
  const pool = aPool('p', { nodeName: ['node1'], nodeAffinity: { matchLabels: { zone: 'b' } } })
  const results = explainPool(pool, eth0, anInput([pool]))
  assert.deepEqual(
    results.map(({ code }) => code),
    poolRules.map(({ code }) => code),
  )
  for (const { isPassed, compared, rule } of results) assert(isPassed && compared !== '' && rule.length > 0)
  assert.deepEqual(
    results.slice(3, 6).map(({ compared }) => compared),
    [
      'spec.subnet is 10.6.0.0/16',
      'spec.nodeName [node1], the pod is on node1',
      'spec.nodeAffinity is not asked, as spec.nodeName is set',
    ],
  )
  assert.deepEqual(JSON.parse(JSON.stringify(results)), results)
})

void test('judgePool() refuses by the first rule that fails in explainPool(), whatever the pool and the pod', () => {
  const selector = fc.option(fc.record({ matchLabels: fc.record({ zone: fc.constantFrom('a', 'b') }) }), {
    nil: undefined,
  })
  const names = (own: string) => fc.option(fc.subarray([own, 'other']), { nil: undefined })
  const anySpec = fc.record({
    subnet: fc.constantFrom('10.6.0.0/16', '10.7.0.0/16', 'fd00::/64', 'nonsense'),
    disable: fc.boolean(),
    nodeName: names('node1'),
    nodeAffinity: selector,
    namespaceName: names('default'),
    namespaceAffinity: selector,
    podAffinity: selector,
    multusName: names('macvlan-ens192'),
  })
  const anyRequest = fc.record({
    isTerminating: fc.boolean(),
    isAuto: fc.boolean(),
    isBlocked: fc.boolean(),
    hasNetwork: fc.boolean(),
    masters: fc.option(fc.subarray(['10.6.0.1/16', 'fd00::1/64']), { nil: undefined }),
    confined: fc.option(fc.subarray(['p', 'q*']), { nil: undefined }),
  })
  const law = fc.property(anySpec, anyRequest, (spec, request) => {
    const pool = aPool('p', spec as Partial<SpiderIpPool['spec']>, {
      ...(request.isTerminating ? { deletionTimestamp: '2026-01-01T00:00:00Z' } : {}),
      ...(request.isAuto ? { labels: { 'ipam.spidernet.io/owner-application-name': 'x' } } : {}),
    })
    const plain = anInput([pool], request.masters === undefined ? {} : { masterAddresses: request.masters })
    const { confined } = request
    const annotations: Record<string, string> =
      confined === undefined ? {} : { 'ipam.spidernet.io/confined-to-ippools': JSON.stringify(confined) }
    const input = {
      ...plain,
      namespace: { ...plain.namespace, annotations },
      blockedPools: new Map(request.isBlocked ? [['p', 'why']] : []),
      nadOf: () => (request.hasNetwork ? 'kube-system/macvlan-ens192' : undefined),
    }
    const failed = explainPool(pool, eth0, input).filter(({ isPassed }) => !isPassed)
    const verdict = judgePool(pool, eth0, input)
    if (verdict.kind === 'pass') return assert.deepEqual(failed, [])
    const { code, rule, compared, isLenient } = verdict
    assert.deepEqual({ code, isPassed: false, rule, compared }, failed[0])
    const lenient: readonly RuleCode[] = ['pool-terminating', 'pool-disabled', 'pool-records-unreadable']
    assert.equal(
      isLenient,
      failed.every((one) => lenient.includes(one.code)),
    )
    assert.deepEqual(JSON.parse(JSON.stringify(verdict)), {
      pool: 'p',
      kind: 'reject',
      code,
      rule,
      compared,
      isLenient,
    })
  })
  fc.assert(law, { numRuns: 500 })
})
