import { isDnsSubdomain } from '../label-selector.ts'
import { compileWildcard, isWildcard, wildcardLimit } from '../wildcard.ts'
import { AnnotationError } from './annotation-error.ts'
import {
  flagOf,
  itemsOf,
  type JsonSource,
  jsonError,
  membersOf,
  namesOf,
  podJson,
  readJson,
  textOf,
} from './json-shape.ts'
import { annotationKeys } from './keys.ts'
import { nicNameProblem } from './nic-name.ts'

/** Pools that somebody named, in the order written: names or wildcards. */
export interface PoolChoice {
  readonly ipv4: readonly string[]
  readonly ipv6: readonly string[]
}

/** One item of annotation `ippools`. */
export interface NicPoolChoice extends PoolChoice {
  /** undefined in the unnamed form, where the position tells the NIC. */
  readonly nic: string | undefined
  readonly cleanGateway: boolean
}

const poolsExample = '{"ipv4":["pool-a","pool-b*"],"ipv6":["pool-c"]}'
const nicsExample = '[{"interface":"eth0","ipv4":["pool-a"]},{"interface":"net1","ipv4":["pool-b"]}]'
const maxUnknownKeys = 5 // of those that a message names
const subnetExample = '{"interface":"eth0","ipv4":["subnet-a"],"ipv6":["subnet-b"]}'

/** Annotation `ipam.spidernet.io/ippool`. @throws {InvalidInputError} with the words of spec/ipam.md §4.2 */
export function parseIppool(text: string): PoolChoice {
  const source = podJson(annotationKeys.ippool, text, poolsExample)
  return choiceOf(source, membersOf(source, readJson(source), 'the value'), '')
}

/**
 * Annotation `ipam.spidernet.io/ippools`: at least one item; `interface` in all items or in none, and no two equal.
 * @throws {InvalidInputError} with the words of spec/ipam.md §4.2
 */
export function parseIppools(text: string): readonly NicPoolChoice[] {
  const source = podJson(annotationKeys.ippools, text, nicsExample)
  const choices = itemsOf(source, readJson(source), 'the value').map((item, i) =>
    nicChoiceOf(source, item, i),
  )
  if (choices.length === 0) throw jsonError(source, 'value requires at least one item')
  const named = choices.filter(({ nic }) => nic !== undefined)
  if (named.length !== 0 && named.length !== choices.length) {
    throw jsonError(source, 'NIC should be either all specified or all unspecified')
  }
  refuseTwins(source, named)
  return choices
}

/**
 * The item of `ippools` for a NIC that is named in it.
 * @throws {InvalidInputError} when the items are named and the NIC is not among them
 */
export function requireNicChoice(
  text: string,
  choices: readonly NicPoolChoice[],
  nic: string,
): NicPoolChoice | undefined {
  const found = choices.find((choice) => choice.nic === nic)
  if (found !== undefined || choices.every((choice) => choice.nic === undefined)) return found
  const source = podJson(annotationKeys.ippools, text, nicsExample)
  throw jsonError(source, `interface ${nic} must be specified`)
}

const poolKeys: readonly string[] = ['ipv4', 'ipv6', 'interface', 'cleangateway']

/** The keys of annotations `ippool` and `ippools` that mean nothing and are passed over, each once, as they are spelled. */
export function unknownPoolKeys(text: string): readonly string[] {
  const items: readonly unknown[] = [readJson(podJson(annotationKeys.ippool, text, poolsExample))].flat()
  const keys = items.flatMap((item) => Object.keys(Object(item)))
  return [...new Set(keys)].filter((key) => !poolKeys.includes(key.toLowerCase())).slice(0, maxUnknownKeys)
}

/** Annotation `ipam.spidernet.io/subnet`: one NIC, eth0 when it names none. */
export function parseSubnetChoice(text: string): readonly NicPoolChoice[] {
  const source = podJson(annotationKeys.subnet, text, subnetExample)
  const choice = nicChoiceOf(source, readJson(source), 0)
  return [{ ...choice, nic: choice.nic ?? 'eth0' }]
}

/** Annotation `ipam.spidernet.io/subnets`: items with `interface`, no two equal. */
export function parseSubnetsChoice(text: string): readonly NicPoolChoice[] {
  const source = podJson(annotationKeys.subnets, text, `[${subnetExample}]`)
  const choices = itemsOf(source, readJson(source), 'the value').map((item, i) =>
    nicChoiceOf(source, item, i),
  )
  if (choices.length === 0) throw jsonError(source, 'value requires at least one item')
  if (choices.some(({ nic }) => nic === undefined))
    throw jsonError(source, 'each item must name its interface')
  refuseTwins(source, choices)
  return choices
}

/**
 * A namespace's `default-ipv4-ippool` or `default-ipv6-ippool`: a JSON list of names or wildcards.
 * @throws {InvalidInputError} when it is anything else
 */
export function parseNamespacePools(key: string, text: string): readonly string[] {
  const preamble = `is not a JSON list of pool names (Namespace annotation '${key}')`
  const source: JsonSource = { key, text, preamble, example: '["pool-a","pool-b*"]' }
  return namesOf(source, readJson(source), 'the value')
}

const confinedLimit = 256 // entries
const longestName = 253 // characters

/**
 * A namespace's `confined-to-ippools`: a JSON list of names or wildcards, of which an empty one means no pool at all. Strict, as
 * who reads it wrongly would let pods out.
 * @throws {InvalidInputError} when it is anything else
 */
export function parseNamespaceConfinement(text: string): readonly string[] {
  const key = annotationKeys.namespaceConfinement
  const preamble = `is not a JSON list of pool names (Namespace annotation '${key}')`
  const source: JsonSource = { key, text, preamble, example: '["pool-a","team-a-*"], or [] for no pool' }
  const value = readJson(source)
  if (!Array.isArray(value)) throw jsonError(source, 'the value must be a list')
  const entries = namesOf(source, value, 'the value')
  if (entries.length > confinedLimit) throw jsonError(source, `it has more than ${confinedLimit} entries`)
  if (entries.filter(isWildcard).length > wildcardLimit)
    throw jsonError(source, `it has more than ${wildcardLimit} wildcards`)
  for (const [index, entry] of entries.entries()) {
    const where = `the value[${index}]`
    if (isWildcard(entry)) compileWildcard(entry, `${key} ${where}`)
    else if (entry.length > longestName || !isDnsSubdomain(entry))
      throw jsonError(source, `${where} '${entry}' can be the name of no IPPool`)
  }
  return entries
}

/** Annotation `ipam.spidernet.io/default-route-nic`. @throws {InvalidInputError} when it is no interface name */
export function parseDefaultRouteNic(text: string): string {
  const problem = nicNameProblem(text)
  if (problem === undefined) return text
  const hint = 'write the name of an interface of the pod, such as eth0 or net1'
  throw new AnnotationError(annotationKeys.defaultRouteNic, text, `is no interface name: ${problem}`, hint)
}

function nicChoiceOf(source: JsonSource, item: unknown, index: number): NicPoolChoice {
  const where = `item ${index}`
  const members = membersOf(source, item, where)
  const nic = textOf(source, members.get('interface'), `${where}.interface`)
  const problem = nic === '' ? undefined : nicNameProblem(nic)
  if (problem !== undefined) throw jsonError(source, `${where}.interface '${nic}' ${problem}`)
  return {
    ...choiceOf(source, members, `${where}.`),
    nic: nic === '' ? undefined : nic,
    cleanGateway: flagOf(source, members.get('cleangateway'), `${where}.cleangateway`) ?? false,
  }
}

function choiceOf(source: JsonSource, members: ReadonlyMap<string, unknown>, prefix: string): PoolChoice {
  return {
    ipv4: namesOf(source, members.get('ipv4'), `${prefix}ipv4`),
    ipv6: namesOf(source, members.get('ipv6'), `${prefix}ipv6`),
  }
}

function refuseTwins(source: JsonSource, choices: readonly NicPoolChoice[]): void {
  const seen = new Set<string>()
  for (const { nic = '' } of choices) {
    if (seen.has(nic)) throw jsonError(source, `duplicate interface ${nic}`)
    seen.add(nic)
  }
}
