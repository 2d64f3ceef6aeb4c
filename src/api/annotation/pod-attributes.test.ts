import assert from 'node:assert/strict'
import { test } from 'node:test'
import { InvalidInputError } from '../../base/index.ts'
import { crdLimits } from '../crd/limits.ts'
import {
  joinDns,
  joinMetadata,
  mergeAttributes,
  parsePodDns,
  parsePodMetadata,
  parseRefreshAttributes,
} from './pod-attributes.ts'

void test('parsePodDns() reads the members that are there, whatever the case of their names', () => {
  assert.deepEqual(
    parsePodDns(
      '{"Nameservers":["10.6.0.53","fd00::53"],"domain":"shop.example","search":[],"options":["ndots:2"]}',
    ),
    { nameservers: ['10.6.0.53', 'fd00::53'], domain: 'shop.example', search: [], options: ['ndots:2'] },
  )
  assert.deepEqual(parsePodDns('{}'), {})
  assert.deepEqual(parsePodDns('{"domain":""}'), { domain: '' })
})

void test('parsePodMetadata() reads texts by key', () => {
  assert.deepEqual(parsePodMetadata('{"rack":"r7","Owner":""}'), { rack: 'r7', Owner: '' })
  assert.deepEqual(parsePodMetadata('null'), {})
})

void test('parseRefreshAttributes() takes true and false as they are spelled, and refuses what somebody meant by them', () => {
  assert.equal(parseRefreshAttributes('true'), true)
  assert.equal(parseRefreshAttributes('false'), false)
  assert.equal(parseRefreshAttributes(undefined), false)
  for (const text of ['yes', 'True', '', '1', ' true']) {
    assert.throws(() => parseRefreshAttributes(text), {
      message: `Cannot accept ipam.spidernet.io/refresh-attributes ${JSON.stringify(text)}: it is neither true nor false`,
      hint: 'write "true" or "false"',
    })
  }
})

const many = (count: number) => JSON.stringify(Array.from({ length: count }, (_, i) => `10.0.0.${i}`))
const facts = (count: number) =>
  JSON.stringify(Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i}`, 'v'])))

const bad: readonly (readonly [(text: string) => unknown, string, string])[] = [
  [parsePodDns, '{', 'invalid format'],
  [parsePodDns, '[]', 'must be an object'],
  [parsePodDns, '"10.6.0.53"', 'must be an object'],
  [parsePodDns, '{"nameservers":"10.6.0.53"}', 'nameservers must be a list'],
  [parsePodDns, '{"nameservers":["ns.example"]}', "nameserver 'ns.example' is not an IP address"],
  [parsePodDns, '{"nameservers":[""]}', 'nameservers[0]'],
  [parsePodDns, `{"nameservers":${many(crdLimits.dnsItems + 1)}}`, '17 items, more than 16'],
  [parsePodDns, '{"search":["a b"]}', 'search[0]'],
  [
    parsePodDns,
    '{"nameservers":["10.6.0.53"],"serach":["shop.example"]}',
    "it has no member 'serach': known are nameservers, domain, search, options",
  ],
  [parsePodDns, '{"options":["ndots:2\\nnameserver 1.2.3.4"]}', 'options[0]'],
  [parsePodDns, '{"search":[7]}', 'search[0] must be text'],
  [parsePodDns, '{"domain":"a\\tb"}', 'domain is no word'],
  [parsePodDns, `{"domain":"${'a'.repeat(254)}"}`, 'domain is no word of 1 to 253'],
  [parsePodMetadata, '[]', 'must be an object'],
  [parsePodMetadata, '{"a":1}', "the value of 'a' must be text"],
  [parsePodMetadata, '{"a":null}', "the value of 'a' must be text"],
  [parsePodMetadata, '{"":"x"}', "key ''"],
  [parsePodMetadata, `{"${'k'.repeat(129)}":"x"}`, 'has not 1 to 128 characters'],
  [parsePodMetadata, `{"k":"${'v'.repeat(513)}"}`, 'longer than 512'],
  [parsePodMetadata, facts(crdLimits.metadataItems + 1), '33 keys, more than 32'],
]

void test('a bad annotation is answered by its key, the problem and an example', () => {
  for (const [parse, text, problem] of bad) {
    assert.throws(
      () => parse(text),
      (error: unknown) => {
        assert.ok(error instanceof InvalidInputError, text)
        assert.match(error.message, /Pod annotation 'ipam\.spidernet\.io\/(dns|metadata)'/)
        assert.ok(error.message.includes(problem), `${text}: ${error.message}`)
        assert.match(error.hint, /^write \{/)
        return true
      },
    )
  }
})

void test('mergeAttributes() puts what the pod writes in the place of the member or key of the pool', () => {
  const ofPool = {
    dns: { nameservers: ['10.6.0.53'], domain: 'pool.example', search: ['pool.example'] },
    metadata: { rack: 'r7', room: 'b' },
  }
  assert.deepEqual(mergeAttributes('p', ofPool, {}), ofPool)
  assert.deepEqual(
    mergeAttributes('p', ofPool, {
      dns: { search: [], domain: 'pod.example' },
      metadata: { rack: 'r9', x: '1' },
    }),
    {
      dns: { nameservers: ['10.6.0.53'], domain: 'pod.example' },
      metadata: { rack: 'r9', room: 'b', x: '1' },
    },
  )
  assert.deepEqual(mergeAttributes('p', {}, {}), {})
  assert.deepEqual(mergeAttributes('p', { dns: { domain: 'a' } }, { dns: { domain: '' } }), {})
})

void test('mergeAttributes() refuses more than a block has room for, by bytes or by keys', () => {
  const wide = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`k${i}`, 'ü'.repeat(60)]))
  assert.throws(
    () => mergeAttributes('p', { metadata: wide }, {}),
    /dns and metadata of SpiderIPPool "p".*2048 bytes/,
  )
  const of = (prefix: string) =>
    JSON.parse(facts(20).replaceAll('"k', `"${prefix}`)) as Record<string, string>
  assert.throws(() => mergeAttributes('p', { metadata: of('a') }, { metadata: of('b') }), /32 keys/)
  assert.equal(
    Object.keys(mergeAttributes('p', { metadata: of('a') }, { metadata: of('a') }).metadata ?? {}).length,
    20,
  )
})

void test('joinDns() and joinMetadata() let the first count, and hold each item once', () => {
  assert.equal(joinDns([undefined, undefined]), undefined)
  assert.deepEqual(joinDns([undefined, { domain: 'a' }]), { domain: 'a' })
  assert.deepEqual(
    joinDns([
      { nameservers: ['1.1.1.1', 'fd00::1'], search: ['a'] },
      { nameservers: ['fd00::1', '2.2.2.2'], domain: 'two', options: ['rotate'] },
    ]),
    { nameservers: ['1.1.1.1', 'fd00::1', '2.2.2.2'], domain: 'two', search: ['a'], options: ['rotate'] },
  )
  assert.equal(joinMetadata([]), undefined)
  assert.deepEqual(joinMetadata([{ a: '4' }, undefined, { a: '6', b: '6' }]), { a: '4', b: '6' })
})
