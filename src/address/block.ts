import { InvalidInputError } from '../base/index.ts'
import { type Cidr, cidrOf } from './cidr.ts'
import { type IpAddress, ipOf } from './ip.ts'
import { toIp4 } from './ip4.ts'
import { hexOfIp6, toIp6 } from './ip6.ts'

/** Prefix lengths of the blocks of each family. */
export interface BlockSizes {
  readonly v4: number
  readonly v6: number
}

/** An aligned range of addresses and the name made of it alone. */
export interface Block {
  /** `v4-0a06a880-26`, `v6-<32 hexadecimal digits>-122`: legal as an object name. */
  readonly name: string
  readonly cidr: Cidr
}

const namePattern = /^v([46])-([0-9a-f]{8}|[0-9a-f]{32})-(\d{1,3})$/

/** The block that an address belongs to. */
export function blockOf(ip: IpAddress, sizes: BlockSizes): Block {
  return blockOfCidr(cidrOf(ip, ip.version === 4 ? sizes.v4 : sizes.v6))
}

/** A network as a block. */
export function blockOfCidr(cidr: Cidr): Block {
  const hex = cidr.version === 4 ? cidr.first.toString(16).padStart(8, '0') : hexOfIp6(cidr.first)
  return { name: `v${cidr.version}-${hex}-${cidr.prefixBits}`, cidr }
}

/** The block of a name. @throws {InvalidInputError} when no block has that name */
export function parseBlockName(name: string, field = 'metadata.name'): Block {
  const [, version, hex = '', bits] = namePattern.exec(name) ?? []
  const prefixBits = Number(bits)
  const isIp4 = version === '4'
  if (version !== undefined && hex.length === (isIp4 ? 8 : 32) && prefixBits <= (isIp4 ? 32 : 128)) {
    const value = isIp4 ? toIp4(Number.parseInt(hex, 16)) : toIp6(BigInt(`0x${hex}`))
    const block = blockOfCidr(cidrOf(ipOf(value), prefixBits))
    if (block.name === name) return block
  }
  throw new InvalidInputError(field, name, 'is not the name of a block', 'write one such as v4-0a06a880-26')
}
