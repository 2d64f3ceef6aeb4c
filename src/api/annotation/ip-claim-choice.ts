import { isDnsSubdomain } from '../label-selector.ts'
import { jsonError, membersOf, podJson, readJson, textOf } from './json-shape.ts'
import { annotationKeys } from './keys.ts'
import { nicNameProblem } from './nic-name.ts'

/** A claim that a pod names, for one NIC; `nic` is undefined for the first one that gets addresses from here. */
export interface IpClaimChoice {
  readonly nic: string | undefined
  readonly name: string
}

const maxNics = 64
const example = '"db-address", or {"eth0":"db-address","net1":"db-storage"}'

/**
 * Annotation `ipam.spidernet.io/ip-claim`: the name of a SpiderIPClaim, as it stands or as JSON text, or an object of NIC to name.
 * @throws {InvalidInputError} for anything else
 */
export function parseIpClaim(text: string): readonly IpClaimChoice[] {
  const source = podJson(annotationKeys.ipClaim, text, example)
  const trimmed = text.trim()
  if (isDnsSubdomain(trimmed)) return [{ nic: undefined, name: trimmed }]
  const value = readJson(source)
  if (typeof value === 'string') {
    if (!isDnsSubdomain(value)) throw jsonError(source, 'it is no name of an object')
    return [{ nic: undefined, name: value }]
  }
  membersOf(source, value, 'the value')
  // Names of NICs are told apart by case: members as they are written.
  const members: readonly [string, unknown][] = Object.entries(value ?? {})
  if (members.length === 0) throw jsonError(source, 'it names no claim')
  if (members.length > maxNics) throw jsonError(source, `it names more than ${maxNics} NICs`)
  const choices = members.map(([nic, item]) => {
    const problem = nicNameProblem(nic)
    if (problem !== undefined) throw jsonError(source, `'${nic}' ${problem}`)
    const name = textOf(source, item, `the claim of ${nic}`)
    if (!isDnsSubdomain(name)) throw jsonError(source, `the claim of ${nic} is no name of an object`)
    return { nic, name }
  })
  const twice = choices.find(({ name }, index) => choices.findIndex((one) => one.name === name) !== index)
  if (twice !== undefined) throw jsonError(source, `two NICs name the claim ${twice.name}`)
  return choices
}
