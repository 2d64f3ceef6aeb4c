import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { StatusError } from '../../status.ts'
import { decodeProtobuf } from './decode.ts'

// The wire format written by hand: developers.google.com/protocol-buffers, "Encoding".
const varint = (value: number): number[] =>
  value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(Math.floor(value / 0x80))]
const number = (field: number, value: number): number[] => [...varint(field << 3), ...varint(value)]
const bytes = (field: number, content: readonly number[] | string): number[] => {
  const list = typeof content === 'string' ? [...Buffer.from(content)] : content
  return [...varint((field << 3) | 2), ...varint(list.length), ...list]
}
const object = (apiVersion: string, kind: string, raw: readonly number[]): Buffer =>
  Buffer.from([
    ...Buffer.from('k8s\0'),
    ...bytes(1, [...bytes(1, apiVersion), ...bytes(2, kind)]),
    ...bytes(2, raw),
    ...bytes(3, ''),
    ...bytes(4, ''),
  ])

void test('decodeProtobuf() gives what the JSON of an object would be', () => {
  const entry = [...bytes(1, 'app'), ...bytes(2, 'web')]
  const metadata = [
    ...bytes(1, 'web'),
    ...bytes(2, ''),
    ...bytes(8, []),
    ...bytes(11, entry),
    ...bytes(14, 'one'),
    ...bytes(14, 'two'),
  ]
  const strategy = bytes(2, [...bytes(1, [...number(1, 1), ...number(2, 0), ...bytes(3, '25%')])])
  const spec = [...number(1, 0), ...bytes(4, strategy), ...number(7, 0)]
  const body = object('apps/v1', 'Deployment', [...bytes(1, metadata), ...bytes(2, spec), ...bytes(3, [])])
  assert.deepEqual(decodeProtobuf(body), {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web', labels: { app: 'web' }, finalizers: ['one', 'two'] },
    spec: { replicas: 0, strategy: { rollingUpdate: { maxUnavailable: '25%' } } },
  })
})

void test('bytes of a map become base64, and times become RFC 3339', () => {
  const entry = [...bytes(1, 'k'), ...bytes(2, [0xff, 0x00])]
  const time = [...number(1, 1_767_225_600), ...number(2, 500_000_000)]
  const body = object('v1', 'Secret', [...bytes(1, bytes(8, time)), ...bytes(2, entry)])
  assert.deepEqual(decodeProtobuf(body), {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { creationTimestamp: '2026-01-01T00:00:00.500Z' },
    data: { k: '/wA=' },
  })
})

void test('what is not described is refused with 415, never dropped', () => {
  const field = object('v1', 'Pod', bytes(2, bytes(1, 'volume')))
  assert.throws(() => decodeProtobuf(field), { status: 415, message: /field 1 of PodSpec/ })
  assert.throws(() => decodeProtobuf(object('x/v1', 'Thing', [])), { status: 415, message: /kind Thing/ })
})

void test('no bytes make it fail otherwise than with a StatusError', () => {
  const kind = fc.constantFrom('Deployment', 'ConfigMap', 'Job', 'Service')
  const law = fc.property(kind, fc.uint8Array({ maxLength: 200 }), (name, raw) => {
    try {
      decodeProtobuf(object('v1', name, [...raw]))
    } catch (error) {
      assert.ok(error instanceof StatusError)
    }
  })
  fc.assert(law, { numRuns: 1000, seed: 7 })
})
