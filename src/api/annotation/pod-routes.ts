import { type Cidr, cidrOf, type IpAddress, tryParseIp, tryParseIpWithPrefix } from '../../address/index.ts'
import { itemsOf, jsonError, membersOf, podJson, readJson, textOf } from './json-shape.ts'
import { annotationKeys } from './keys.ts'

/** One route of annotation `routes`; a default route is allowed. */
export interface PodRoute {
  readonly dst: Cidr
  readonly gw: IpAddress
}

/**
 * Annotation `ipam.spidernet.io/routes`.
 * @throws {InvalidInputError} with the words of spec/ipam.md §4.2
 */
export function parsePodRoutes(text: string): readonly PodRoute[] {
  const source = podJson(annotationKeys.routes, text, '[{"dst":"10.7.0.0/16","gw":"10.6.0.9"}]')
  return itemsOf(source, readJson(source), 'the value').map((item, i) => {
    const members = membersOf(source, item, `item ${i}`)
    const dstText = textOf(source, members.get('dst'), `item ${i}.dst`)
    const gwText = textOf(source, members.get('gw'), `item ${i}.gw`)
    const dst = tryParseIpWithPrefix(dstText)
    const gw = tryParseIp(gwText)
    if (dst === undefined || gw === undefined || dst.ip.version !== gw.version) {
      throw jsonError(source, `invalid route format 'dst: ${dstText}, gw: ${gwText}'`)
    }
    return { dst: cidrOf(dst.ip, dst.prefixBits), gw }
  })
}
