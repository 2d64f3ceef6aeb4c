/**
 * Addresses, networks, ranges and sets of addresses as values. Types to know: `IpAddress`, `Cidr`, `IpSet`.
 * Text is read and written here alone; nothing here knows pools or Kubernetes, and nothing expands a range.
 */
export { type Block, type BlockSizes, blockOf, blockOfCidr, parseBlockName } from './block.ts'
export {
  type Cidr,
  cidrContains,
  cidrOf,
  formatCidr,
  formatIpWithPrefix,
  type IpWithPrefix,
  parseCidr,
  parseIpWithPrefix,
  parseNetworkCidr,
  rangeContains,
  rangesOverlap,
  tryParseIpWithPrefix,
} from './cidr.ts'
export {
  compareIp,
  countIpValues,
  equalIp,
  formatIp,
  formatIpValue,
  type IpAddress,
  type IpValue,
  type IpVersion,
  ipOf,
  offsetIpValue,
  type ParseOptions,
  parseIp,
  tryParseIp,
} from './ip.ts'
export { IpSet, parseRanges } from './ip-set.ts'
export { type Ip4, toIp4 } from './ip4.ts'
export { type Ip6, toIp6 } from './ip6.ts'
export { formatRange, type IpRange, parseRange, type RangeSource, rangeOf } from './range.ts'
