import { type Cidr, cidrOf, type IpAddress, tryParseIp, tryParseIpWithPrefix } from '../../address/index.ts'
import { AnnotationError } from './annotation-error.ts'
import { itemsOf, jsonError, membersOf, podJson, readJson, textOf } from './json-shape.ts'
import { annotationKeys } from './keys.ts'

// They stand in the ledger with each address of the pod: 128 pods of one block must fit the 1.5 MiB of an object.
const maxRoutes = 64

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
  const items = itemsOf(source, readJson(source), 'the value')
  if (items.length > maxRoutes) {
    const problem = `${source.preamble}: it has ${items.length} routes, more than ${maxRoutes}`
    const hint = `write at most ${maxRoutes} routes, joined into larger networks; those of many pods belong into spec.routes of the pool`
    throw new AnnotationError(source.key, text, problem, hint)
  }
  return items.map((item, i) => {
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
