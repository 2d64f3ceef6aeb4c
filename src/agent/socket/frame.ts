import { InvalidInputError } from '../../base/index.ts'
import type { Environment } from '../../cni/index.ts'

// The frames of native/cni-pipe.c.
//   request:  "SPC1" u32le length | name NUL | each environment string NUL | NUL | stdin to the end of the frame
//   response: u32le exit code, u32le stdout length | stdout

/** Bytes before the length-counted part of a request. */
export const requestHeadBytes = 8
/** The pipe sends at most 2 MiB of environment and 1 MiB of stdin. */
export const maxRequestBytes: number = (3 << 20) + requestHeadBytes

/** One call of a plugin, as the pipe saw it. */
export interface PluginRequest {
  /** The name under which the executable was started. */
  readonly plugin: string
  readonly env: Environment
  readonly stdin: Uint8Array
}

/** What the pipe is to print, and the code to exit with. */
export interface PluginAnswer {
  readonly exitCode: number
  readonly stdout: string
}

/**
 * Length of the whole request frame, from its first bytes.
 * @returns undefined while there are too few bytes
 * @throws {InvalidInputError} for another protocol, or a frame that is too long
 */
export function requestLength(bytes: Uint8Array): number | undefined {
  const head = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.byteLength, requestHeadBytes))
  const magic = head.subarray(0, 4).toString('latin1')
  if (!'SPC1'.startsWith(magic))
    throw new InvalidInputError(
      'frame',
      head.toString('hex'),
      'does not begin with SPC1',
      'use the plugin of this release',
    )
  if (head.length < requestHeadBytes) return undefined
  const length = requestHeadBytes + head.readUInt32LE(4)
  if (length <= maxRequestBytes) return length
  throw new InvalidInputError(
    'frame length',
    length,
    `is above ${maxRequestBytes} bytes`,
    'send a smaller request',
  )
}

/**
 * Takes a complete request frame apart.
 * @throws {InvalidInputError} when it is cut short
 */
export function decodeRequest(frame: Uint8Array): PluginRequest {
  const length = requestLength(frame)
  if (length === undefined || length !== frame.byteLength)
    throw new InvalidInputError('frame', frame.byteLength, 'is cut short', 'send the whole request')
  const strings: string[] = []
  let at = requestHeadBytes
  for (;;) {
    const end = frame.indexOf(0, at)
    if (end < 0)
      throw new InvalidInputError('frame', frame.byteLength, 'has no end of its strings', 'end them with NUL')
    if (end === at && strings.length > 0) break
    strings.push(Buffer.from(frame.buffer, frame.byteOffset + at, end - at).toString('utf8'))
    at = end + 1
  }
  const [plugin = '', ...variables] = strings
  return { plugin, env: environmentOf(variables), stdin: frame.subarray(at + 1) }
}

function environmentOf(variables: readonly string[]): Environment {
  // Without a prototype, for a name may be `__proto__`.
  const env = Object.create(null) as Record<string, string>
  for (const text of variables) {
    const split = text.indexOf('=')
    if (split > 0) env[text.slice(0, split)] = text.slice(split + 1)
  }
  return env
}

/** A request frame, as the pipe writes it. */
export function encodeRequest(request: PluginRequest): Uint8Array {
  const variables = Object.entries(request.env).map(([name, value]) => `${name}=${value}\0`)
  const strings = Buffer.from(`${request.plugin}\0${variables.join('')}\0`)
  const head = Buffer.alloc(requestHeadBytes)
  head.write('SPC1', 'latin1')
  head.writeUInt32LE(strings.length + request.stdin.byteLength, 4)
  return Buffer.concat([head, strings, request.stdin])
}

/** A response frame. */
export function encodeAnswer(answer: PluginAnswer): Uint8Array {
  const stdout = Buffer.from(answer.stdout)
  const head = Buffer.alloc(8)
  head.writeUInt32LE(answer.exitCode, 0)
  head.writeUInt32LE(stdout.length, 4)
  return Buffer.concat([head, stdout])
}
