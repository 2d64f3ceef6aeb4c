import { InvalidInputError, jsonMembers, parseJson } from '../base/index.ts'
import { CniError } from './cni-error.ts'
import {
  type AttachmentEnvironment,
  type CniEnvironment,
  type Environment,
  parseContainerId,
  parseEnvironment,
  parseIfName,
  parseNetworkName,
} from './environment.ts'
import { asCniCode, cniCodes } from './error-codes.ts'
import { type CniResult, parseResult } from './result.ts'
import { type CniVersion, isAtLeast, requireSupported } from './versions.ts'

/** The configuration that a plugin got on stdin, as far as every plugin reads it. */
export interface PluginConfig {
  readonly cniVersion: CniVersion
  readonly name: string
  readonly value: Readonly<Record<string, unknown>>
  /** Raw texts of the top-level keys: what is passed on loses nothing. */
  readonly members: ReadonlyMap<string, string>
  readonly prevResult?: CniResult
}

/** An attachment of a network: one interface of one container. */
export interface AttachmentId {
  readonly containerId: string
  readonly ifName: string
}

/** One checked plugin call. */
export type CniRequest =
  | { readonly command: 'VERSION' }
  | { readonly command: 'ADD'; readonly env: AttachmentEnvironment; readonly config: PluginConfig }
  | { readonly command: 'CHECK'; readonly env: AttachmentEnvironment; readonly config: PluginConfig }
  | {
      readonly command: 'DEL'
      readonly env: AttachmentEnvironment
      /** Absent when stdin was not a valid configuration: DEL goes on without. */
      readonly config?: PluginConfig
      readonly problem?: string
    }
  | { readonly command: 'STATUS'; readonly config: PluginConfig }
  | {
      readonly command: 'GC'
      readonly config: PluginConfig
      readonly validAttachments: readonly AttachmentId[]
    }

const maxValidAttachments = 100_000

/**
 * Checks environment and stdin of a plugin call, in the order of the specification's codes: 4, 6, 1, 7.
 * @throws {CniError} naming field, value and remedy. DEL needs a valid environment alone.
 */
export function parseRequest(env: Environment, stdin: Uint8Array): CniRequest {
  const parsed = parseEnvironment(env)
  if (parsed.kind === 'attachment') return parseAttachmentRequest(parsed, stdin)
  return parseNodeRequest(parsed, stdin)
}

function parseAttachmentRequest(env: AttachmentEnvironment, stdin: Uint8Array): CniRequest {
  if (env.command === 'DEL') {
    try {
      return { command: 'DEL', env, config: parsePluginConfig(stdin) }
    } catch (error) {
      if (!(error instanceof CniError)) throw error
      return { command: 'DEL', env, problem: error.message }
    }
  }
  const config = parsePluginConfig(stdin)
  if (env.command === 'CHECK') {
    requireVersion(config, 'CHECK', '0.4.0')
    if (config.prevResult === undefined)
      throw configError('prevResult', '', 'is missing', 'pass the result of ADD to CHECK')
  }
  return env.command === 'ADD' ? { command: 'ADD', env, config } : { command: 'CHECK', env, config }
}

function parseNodeRequest(env: CniEnvironment, stdin: Uint8Array): CniRequest {
  if (env.command === 'VERSION') return { command: 'VERSION' }
  const config = parsePluginConfig(stdin)
  if (env.command === 'STATUS') {
    requireVersion(config, 'STATUS', '1.1.0')
    return { command: 'STATUS', config }
  }
  requireVersion(config, 'GC', '1.1.0')
  return { command: 'GC', config, validAttachments: parseValidAttachments(config.value) }
}

/**
 * Reads the JSON object that a plugin gets on stdin.
 * @throws {CniError} code 6 (not JSON), 1 (version), 7 (name, prevResult)
 */
export function parsePluginConfig(stdin: Uint8Array): PluginConfig {
  const { text, value } = decodeObject(stdin)
  const version = value['cniVersion'] ?? '0.1.0'
  if (typeof version !== 'string')
    throw decodingError('cniVersion', version, 'is not a text', 'write a version such as "1.0.0"')
  const cniVersion = requireSupported(version, 'cniVersion')
  const name = asCniCode(cniCodes.config, 'network-config', () => parseNetworkName('name', value['name']))
  const prev = value['prevResult']
  const prevResult = prev === undefined || prev === null ? undefined : parseResult(prev, cniVersion)
  return {
    cniVersion,
    name,
    value,
    members: jsonMembers(text),
    ...(prevResult === undefined ? {} : { prevResult }),
  }
}

function decodeObject(stdin: Uint8Array): { text: string; value: Readonly<Record<string, unknown>> } {
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(stdin)
  } catch (cause) {
    const found = Buffer.from(stdin.subarray(0, 40)).toString('hex')
    throw decodingError('stdin', found, 'is not UTF-8', 'write one JSON object in UTF-8', cause)
  }
  let value: unknown
  try {
    value = parseJson(text)
  } catch (cause) {
    throw decodingError('stdin', text.slice(0, 100), 'is not JSON', 'write one JSON object', cause)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw decodingError('stdin', value, 'is not an object', 'write one JSON object')
  return { text, value: value as Readonly<Record<string, unknown>> }
}

function parseValidAttachments(config: Readonly<Record<string, unknown>>): readonly AttachmentId[] {
  const key = 'cni.dev/valid-attachments'
  const list = config[key] ?? config['cni.dev/attachments']
  if (!Array.isArray(list))
    throw configError(
      key,
      list ?? '',
      list === undefined ? 'is missing' : 'is not a list',
      'list what to keep',
    )
  if (list.length > maxValidAttachments)
    throw configError(
      key,
      list.length,
      `is longer than ${maxValidAttachments}`,
      'list the attachments of one node',
    )
  return list.map((item: unknown, index) => {
    const at = `${key}[${index}]`
    const entry = typeof item === 'object' && item !== null ? (item as Readonly<Record<string, unknown>>) : {}
    const { containerID, ifname } = entry
    if (typeof containerID !== 'string' || typeof ifname !== 'string')
      throw configError(at, item, 'is not an attachment', 'write {"containerID":"...","ifname":"..."}')
    return asCniCode(cniCodes.config, 'network-config', () => ({
      containerId: parseContainerId(containerID),
      ifName: parseIfName(`${at}.ifname`, ifname),
    }))
  })
}

function requireVersion(config: PluginConfig, command: string, least: CniVersion): void {
  if (isAtLeast(config.cniVersion, least)) return
  throw new CniError({
    cniCode: cniCodes.incompatibleVersion,
    slug: 'incompatible-version',
    message: `Cannot accept cniVersion "${config.cniVersion}": ${command} needs ${least} or newer`,
    hint: `set cniVersion to ${least} or newer, or leave out ${command}`,
  })
}

function configError(field: string, value: unknown, problem: string, hint: string): CniError {
  const { message } = new InvalidInputError(field, value, problem, hint)
  return new CniError({ cniCode: cniCodes.config, slug: 'network-config', message, hint })
}

function decodingError(
  ...[field, value, problem, hint, cause]: [string, unknown, string, string, unknown?]
): CniError {
  const { message } = new InvalidInputError(field, value, problem, hint)
  return new CniError({ cniCode: cniCodes.decoding, slug: 'decoding', message, hint }, { cause })
}
