import { InvalidInputError } from '../base/index.ts'
import { asCniCode, cniCodes } from './error-codes.ts'
import type { PluginConfig } from './request.ts'

/** The `ipam` object of a configuration that uses our IPAM (spec/ipam.md §2.1). */
export interface IpamConfig {
  readonly defaultIpv4Pools: readonly string[]
  readonly defaultIpv6Pools: readonly string[]
  readonly cleanGateway: boolean
  /** `match_master_subnet`: pools must be of a subnet that the interface behind this device is in. */
  readonly matchMaster?: { readonly deviceId: string | undefined }
}

const maxPools = 100

/**
 * Reads `ipam` of a plugin configuration.
 * @throws {CniError} code 7 naming field, value and remedy
 */
export function parseIpamConfig(config: Pick<PluginConfig, 'value'>): IpamConfig {
  return asCniCode(cniCodes.config, 'network-config', () => {
    const given = config.value['ipam']
    if (typeof given !== 'object' || given === null || Array.isArray(given))
      throw new InvalidInputError('ipam', given ?? '', 'is not an object', 'write {"type":"spiderpool"}')
    const ipam = given as Readonly<Record<string, unknown>>
    if (typeof ipam['type'] !== 'string' || ipam['type'] === '')
      throw new InvalidInputError('ipam.type', ipam['type'] ?? '', 'is not a name', 'write "spiderpool"')
    for (const key of ['ipam_unix_socket_path', 'log_level', 'log_file_path'])
      if (ipam[key] !== undefined && typeof ipam[key] !== 'string')
        throw new InvalidInputError(`ipam.${key}`, ipam[key], 'is not a text', 'write a string')
    for (const key of ['log_file_max_size', 'log_file_max_age', 'log_file_max_count'])
      if (ipam[key] !== undefined && !(Number.isSafeInteger(ipam[key]) && Number(ipam[key]) >= 0))
        throw new InvalidInputError(`ipam.${key}`, ipam[key], 'is not a count', 'write an integer from 0')
    return {
      defaultIpv4Pools: pools(ipam, 'default_ipv4_ippool'),
      defaultIpv6Pools: pools(ipam, 'default_ipv6_ippool'),
      cleanGateway: boolean(ipam, 'clean_gateway'),
      ...(boolean(ipam, 'match_master_subnet') ? { matchMaster: masterOf(config) } : {}),
    }
  })
}

function boolean(ipam: Readonly<Record<string, unknown>>, key: string): boolean {
  const value = ipam[key] ?? false
  if (typeof value === 'boolean') return value
  throw new InvalidInputError(`ipam.${key}`, value, 'is not a boolean', 'write true or false')
}

function pools(ipam: Readonly<Record<string, unknown>>, key: string): readonly string[] {
  const value = ipam[key] ?? []
  if (!Array.isArray(value))
    throw new InvalidInputError(`ipam.${key}`, value, 'is not a list', 'write ["pool-name", "pool-*"]')
  if (value.length > maxPools)
    throw new InvalidInputError(
      `ipam.${key}`,
      value.length,
      `has more than ${maxPools} pools`,
      'use wildcards',
    )
  return value.map((item: unknown, index) => {
    // A name of a cluster-scoped object, or a pattern of it with *, ? and [...].
    if (typeof item === 'string' && item.length <= 253 && /^[a-z0-9*?[][-a-z0-9.*?[\]^!]*$/.test(item))
      return item
    const hint = 'write the name of a SpiderIPPool, or a pattern with *, ? and [...]'
    throw new InvalidInputError(`ipam.${key}[${index}]`, item, 'is not a pool name', hint)
  })
}

/** The device that the runtime chose (capability `deviceID`), else that of the configuration. */
function masterOf({ value }: Pick<PluginConfig, 'value'>): { readonly deviceId: string | undefined } {
  const runtime = value['runtimeConfig']
  const isObject = typeof runtime === 'object' && runtime !== null && 'deviceID' in runtime
  const [field, found] = isObject
    ? ['runtimeConfig.deviceID', runtime.deviceID]
    : ['deviceID', value['deviceID']]
  if (found === undefined || found === null || found === '') return { deviceId: undefined }
  // It becomes a part of a path: nothing but an address may pass.
  if (typeof found === 'string' && /^[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/i.test(found))
    return { deviceId: found.toLowerCase() }
  const hint = 'write the PCI address of the virtual function, such as 0000:03:02.1'
  throw new InvalidInputError(field, found, 'is no PCI address, as ipam.match_master_subnet needs', hint)
}
