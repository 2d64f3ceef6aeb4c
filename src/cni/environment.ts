import { InvalidInputError } from '../base/index.ts'
import { CniError } from './cni-error.ts'
import { asCniCode, cniCodes } from './error-codes.ts'

const commands = ['ADD', 'DEL', 'CHECK', 'GC', 'STATUS', 'VERSION'] as const
/** The operations of the CNI specification. */
export type CniCommand = (typeof commands)[number]

/** Variables of the process as pairs; of a repeated name the last counts. */
export type Environment = Readonly<Record<string, string>>

/** What the environment of a call says: about one attachment, or about the node. */
export type CniEnvironment = AttachmentEnvironment | NodeEnvironment

export interface AttachmentEnvironment {
  readonly kind: 'attachment'
  readonly command: 'ADD' | 'DEL' | 'CHECK'
  readonly containerId: string
  readonly ifName: string
  readonly netns: string // '' when the runtime no longer has one (DEL)
  readonly args: ReadonlyMap<string, string>
  readonly path: readonly string[]
  /** CNI_NETNS_OVERRIDE: the caller really means the plugin's own namespace. */
  readonly allowsOwnNetns: boolean
}

export interface NodeEnvironment {
  readonly kind: 'node'
  readonly command: 'GC' | 'STATUS' | 'VERSION'
  readonly path: readonly string[]
}

const required: Readonly<Record<CniCommand, readonly string[]>> = {
  ADD: ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME', 'CNI_PATH'],
  CHECK: ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME', 'CNI_PATH'],
  DEL: ['CNI_CONTAINERID', 'CNI_IFNAME', 'CNI_PATH'],
  GC: ['CNI_PATH'],
  STATUS: ['CNI_PATH'],
  VERSION: [],
}

/**
 * Reads and checks the environment of a plugin call (CNI spec, "Parameters").
 * @throws {CniError} code 4, naming all missing variables, or the bad one with its value and the remedy
 */
export function parseEnvironment(env: Environment): CniEnvironment {
  return asCniCode(cniCodes.environment, 'environment', () => {
    const command = commands.find((known) => known === env['CNI_COMMAND'])
    if (command === undefined)
      throw new InvalidInputError(
        'CNI_COMMAND',
        env['CNI_COMMAND'] ?? '',
        env['CNI_COMMAND'] === undefined || env['CNI_COMMAND'] === '' ? 'is missing' : 'is unknown',
        `set it to one of ${commands.join(', ')}`,
      )
    const missing = required[command].filter((name) => (env[name] ?? '') === '')
    if (missing.length > 0) throw missingVariables(command, missing)
    const path = (env['CNI_PATH'] ?? '').split(':').filter((folder) => folder !== '')
    if (command === 'GC' || command === 'STATUS' || command === 'VERSION')
      return { kind: 'node', command, path }
    return {
      kind: 'attachment',
      command,
      containerId: parseContainerId(env['CNI_CONTAINERID'] ?? ''),
      ifName: parseIfName('CNI_IFNAME', env['CNI_IFNAME'] ?? ''),
      netns: command === 'DEL' ? (env['CNI_NETNS'] ?? '') : parseNetns(env['CNI_NETNS'] ?? ''),
      args: parseArgs(command, env['CNI_ARGS'] ?? ''),
      path,
      allowsOwnNetns: /^(1|true)$/i.test(env['CNI_NETNS_OVERRIDE'] ?? ''),
    }
  })
}

function missingVariables(command: CniCommand, names: readonly string[]): CniError {
  const hint = `set ${names.join(' and ')} in the environment of the plugin`
  const message = `Cannot accept the environment of ${command}: ${names.join(', ')} missing or empty`
  return new CniError({ cniCode: cniCodes.environment, slug: 'environment', message, hint })
}

/**
 * A container id: a letter or digit, then letters, digits, `_`, `.` and `-`, at most 200 characters.
 * @throws {InvalidInputError} naming it
 */
export function parseContainerId(text: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9_.-]{0,199}$/.test(text)) return text
  const hint = 'use letters, digits, "_", "." and "-", beginning with a letter or digit, at most 200'
  throw new InvalidInputError('CNI_CONTAINERID', text, 'is not a container id', hint)
}

/**
 * A network interface name: 1-15 bytes, not `.` or `..`, without `/`, `:` and white space.
 * @param field what to call it in the error
 * @throws {InvalidInputError} naming it
 */
export function parseIfName(field: string, text: string): string {
  const isName = /^[^\s/:\p{Cc}]+$/u.test(text) && text !== '.' && text !== '..'
  if (isName && Buffer.byteLength(text) <= 15) return text
  const hint = 'use 1-15 bytes without "/", ":" and white space, not "." or ".."'
  throw new InvalidInputError(field, text, 'is not an interface name', hint)
}

/**
 * A CNI network name, which is also part of file names.
 * @throws {InvalidInputError} naming it
 */
export function parseNetworkName(field: string, value: unknown): string {
  if (typeof value === 'string' && /^[A-Za-z0-9][A-Za-z0-9_.-]{0,199}$/.test(value)) return value
  const hint = 'use letters, digits, "_", "." and "-", beginning with a letter or digit, at most 200'
  throw new InvalidInputError(field, value ?? '', 'is not a network name', hint)
}

function parseNetns(text: string): string {
  if (text.startsWith('/') && text.length <= 4096 && !/\p{Cc}/u.test(text)) return text
  throw new InvalidInputError(
    'CNI_NETNS',
    text,
    'is not an absolute path',
    'name a file such as /var/run/netns/NAME',
  )
}

function parseArgs(command: CniCommand, text: string): ReadonlyMap<string, string> {
  const args = new Map<string, string>()
  if (text === '') return args
  for (const pair of text.split(';')) {
    const parts = pair.split('=')
    const [key, value] = parts
    if (parts.length === 2 && key !== undefined && key !== '' && value !== undefined) args.set(key, value)
    // DEL must go on with nothing but container and interface.
    else if (command !== 'DEL')
      throw new InvalidInputError('CNI_ARGS', pair, 'is not KEY=VALUE', 'write K1=V1;K2=V2, one "=" a pair')
  }
  return args
}
