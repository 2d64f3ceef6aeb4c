import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Writable } from 'node:stream'
import test from 'node:test'
import { terminalOn } from './terminal.ts'

function failing(code: string): { readonly stream: Writable; readonly written: string[] } {
  const written: string[] = []
  const stream = new Writable({
    autoDestroy: false,
    write(chunk: Buffer, _encoding, done) {
      written.push(String(chunk))
      done(Object.assign(new TypeError(code), { code }))
    },
  })
  return { stream, written }
}

void test('a reader that went away ends the printing, and the other stream goes on', async () => {
  const gone = failing('EPIPE')
  const read: string[] = []
  const err = new Writable({ write: (chunk: Buffer, _encoding, done) => done(void read.push(String(chunk))) })
  const terminal = terminalOn(gone.stream, err)
  const broken = once(gone.stream, 'error')
  terminal.print('one')
  await broken
  terminal.print('two')
  terminal.note('three')
  assert.deepEqual(gone.written, ['one\n'])
  assert.deepEqual(read, ['three\n'])
})

void test('another fault of the output is not hidden', () => {
  const full = failing('ENOSPC')
  terminalOn(full.stream, full.stream)
  assert.throws(
    () => full.stream.emit('error', Object.assign(new TypeError('full'), { code: 'ENOSPC' })),
    /full/,
  )
})
