import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AllocateRequest, AllocateResponse } from '../api/index.ts'
import { InvalidInputError } from '../base/index.ts'
import { parseAllocateRequest, parseAllocateResponse } from './messages.ts'

const request: AllocateRequest = {
  containerId: 'c1',
  ifName: 'eth0',
  netns: '/run/netns/x',
  podNamespace: 'default',
  podName: 'web-1',
  podUid: 'u1',
  defaultIpv4Pools: [],
  defaultIpv6Pools: [],
  cleanGateway: false,
  budgetMs: 1000,
}
const asking: AllocateRequest = {
  ...request,
  ips: ['10.6.0.9', 'fd00::9/64'],
  startedMs: 1_764_403_200_000,
  masterAddresses: ['10.6.0.2/16'],
  masterProblem: 'the CNI configuration has no deviceID',
  conflicts: [{ ip: '10.6.0.10', mac: '02:00:00:00:00:07' }, { ip: '10.6.0.11' }],
}
const answer: AllocateResponse = {
  ips: [
    {
      version: 4,
      address: '10.6.0.9/16',
      gateway: '10.6.0.1',
      nic: 'eth0',
      pool: 'p4',
      vlan: 7,
      mac: '02:00:00:00:00:01',
      metadata: { rack: 'r7' },
      isProbeOff: true,
    },
  ],
  routes: [{ ifName: 'eth0', dst: '0.0.0.0/0', gw: '10.6.0.1' }],
  dns: { nameservers: ['10.6.0.53'], domain: 'a.example', search: [], options: ['ndots:2'] },
}
const overTheWire = <T>(value: T): unknown => JSON.parse(JSON.stringify(value))

void test('an ADD and its answer come over the wire as they were, with all members and with the least', () => {
  assert.deepEqual(parseAllocateRequest(overTheWire(request)), request)
  assert.deepEqual(parseAllocateRequest(overTheWire(asking)), asking)
  assert.deepEqual(parseAllocateResponse(overTheWire(answer)), answer)
  assert.deepEqual(parseAllocateResponse(overTheWire({ ips: [], routes: [] })), { ips: [], routes: [] })
})

const many = (count: number, item: unknown) => Array.from({ length: count }, () => item)
const badRequests: readonly (readonly [object, string])[] = [
  [{ ips: '10.6.0.9' }, 'ips'],
  [{ ips: ['10.6.0.9/33'] }, 'ips[0]'],
  [{ ips: ['x'] }, 'ips[0]'],
  [{ ips: many(33, '10.6.0.9') }, 'ips'],
  [{ startedMs: -1 }, 'startedMs'],
  [{ startedMs: 'now' }, 'startedMs'],
  [{ masterAddresses: [7] }, 'masterAddresses[0]'],
  [{ masterAddresses: Array.from({ length: 257 }, () => '10.6.0.2/16') }, 'masterAddresses'],
  [{ masterProblem: 'two\nlines' }, 'masterProblem'],
  [{ masterProblem: 'x'.repeat(501) }, 'masterProblem'],
  [{ conflicts: {} }, 'conflicts'],
  [{ conflicts: [{ ip: '10.6.0.9/16' }] }, 'conflicts[0].ip'],
  [{ conflicts: [{ ip: '10.6.0.9', mac: '02:00' }] }, 'conflicts[0].mac'],
  [{ conflicts: many(65, { ip: '10.6.0.9' }) }, 'conflicts'],
]
const longFacts = Object.fromEntries(Array.from({ length: 33 }, (_, i) => [`k${i}`, 'v']))
const badAnswers: readonly (readonly [object, string])[] = [
  [{ dns: [] }, 'dns'],
  [{ dns: { nameservers: '10.6.0.53' } }, 'dns.nameservers'],
  [{ dns: { search: many(17, 'a') } }, 'dns.search'],
  [{ dns: { options: [''] } }, 'dns.options[0]'],
  [{ dns: { domain: 'a'.repeat(254) } }, 'dns.domain'],
  [{ ips: [{ ...answer.ips[0], metadata: 'x' }] }, 'ips[0].metadata'],
  [{ ips: [{ ...answer.ips[0], metadata: { a: 1 } }] }, 'ips[0].metadata.a'],
  [{ ips: [{ ...answer.ips[0], metadata: longFacts }] }, 'ips[0].metadata'],
  [{ ips: [{ ...answer.ips[0], isProbeOff: 'no' }] }, 'ips[0].isProbeOff'],
]

void test('a member that is wrong or too long is refused by its name', () => {
  const refused = (parse: (body: unknown) => unknown, good: object, more: object, field: string) => {
    assert.throws(
      () => parse(overTheWire({ ...good, ...more })),
      (error: unknown) => error instanceof InvalidInputError && error.field === field,
      JSON.stringify(more).slice(0, 100),
    )
  }
  for (const [more, field] of badRequests) refused(parseAllocateRequest, request, more, field)
  for (const [more, field] of badAnswers) refused(parseAllocateResponse, answer, more, field)
})
