import type { Writable } from 'node:stream'
import type { Terminal } from './command.ts'

/**
 * The terminal of a process. A reader that goes away, such as `head`, ends what is printed and nothing else: a command
 * that was half way through carries on.
 */
export function terminalOn(out: Writable, err: Writable): Terminal {
  return { print: writerTo(out), note: writerTo(err) }
}

function writerTo(stream: Writable): (line: string) => void {
  let isRead = true
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
    isRead = false
  })
  return (line) => {
    if (isRead) stream.write(`${line}\n`)
  }
}
