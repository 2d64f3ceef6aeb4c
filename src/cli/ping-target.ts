import { isIP } from 'node:net'
import { InvalidInputError } from '../base/index.ts'

/** The places of a lab and their addresses, as far as a ping needs them. */
export interface Places {
  readonly placeIps: Readonly<Record<string, readonly string[]>>
  readonly pods: readonly {
    readonly namespace: string
    readonly name: string
    readonly ips: readonly string[]
  }[]
}

/**
 * The address to ping: `to` itself, or the first address of that pod, node or gateway of a family that `from` has too.
 * @throws {InvalidInputError} when there is none
 */
export function pingTarget(places: Places, from: string, to: string): string {
  if (isIP(to) !== 0) return to
  const ips = ipsOf(places, to)
  if (ips === undefined)
    throw new InvalidInputError('TO', to, 'is no place of the lab', whatToWrite(places, to))
  const [first] = ips
  if (first === undefined)
    throw new InvalidInputError('TO', to, 'has no address yet', 'see why: kubectl describe pod')
  const own = ipsOf(places, from) ?? []
  // A FROM without addresses is for the command itself to refuse.
  if (own.length === 0) return first
  const families = new Set(own.map(isIP))
  const shared = ips.find((ip) => families.has(isIP(ip)))
  if (shared !== undefined) return shared
  const problem = `has ${ips.join(', ')} alone, and ${from} has ${own.join(', ')}`
  throw new InvalidInputError('TO', to, problem, 'choose two places with addresses of one family')
}

function ipsOf(places: Places, place: string): readonly string[] | undefined {
  const ips = places.placeIps[place]
  if (ips !== undefined) return ips
  const wanted = place.includes('/') ? place : `default/${place}`
  return places.pods.find(({ namespace, name }) => `${namespace}/${name}` === wanted)?.ips
}

function whatToWrite(places: Places, to: string): string {
  const elsewhere = places.pods.filter(({ name }) => name === to).map(({ namespace }) => `${namespace}/${to}`)
  if (elsewhere.length > 0) return `write ${elsewhere.join(' or ')}`
  return 'write POD, NAMESPACE/POD, node:NAME, switch or an address; see: spiderpoolctl lab status'
}
