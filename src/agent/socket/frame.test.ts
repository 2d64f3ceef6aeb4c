import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { OperationError } from '../../base/index.ts'
import { decodeRequest, encodeRequest, maxRequestBytes, requestLength } from './frame.ts'

const name = fc.string({ minLength: 1 }).filter((text) => !/[=\0]/.test(text) && text.isWellFormed())
const value = fc.string().filter((text) => !text.includes('\0') && text.isWellFormed())

void test('decodeRequest() gives back what encodeRequest() wrote', () => {
  fc.assert(
    fc.property(name, fc.dictionary(name, value), fc.uint8Array(), (plugin, env, stdin) => {
      const frame = encodeRequest({ plugin, env, stdin })
      assert.equal(requestLength(frame), frame.byteLength)
      const decoded = decodeRequest(frame)
      assert.equal(decoded.plugin, plugin)
      assert.deepEqual({ ...decoded.env }, { ...env })
      assert.deepEqual([...decoded.stdin], [...stdin])
    }),
  )
})

void test('any bytes are a request or an OperationError, and a cut frame is never taken for whole', () => {
  const good = encodeRequest({ plugin: 'spiderpool', env: { A: '1', B: '' }, stdin: Buffer.from('{}') })
  for (let length = 0; length < good.length; length++)
    assert.throws(() => decodeRequest(good.subarray(0, length)), OperationError)
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      try {
        decodeRequest(bytes)
      } catch (error) {
        assert.ok(error instanceof OperationError)
      }
    }),
  )
  const tooLong = Buffer.from('SPC1\0\0\0\0')
  tooLong.writeUInt32LE(maxRequestBytes, 4)
  assert.throws(() => requestLength(tooLong), /is above/)
})
