import { type Cidr, formatCidr, parseCidr, rangesOverlap } from '../../address/index.ts'
import type { SpiderSubnet } from '../../api/index.ts'
import { InvalidInputError } from '../../base/index.ts'

/**
 * What a subnet has in common with an older one, for an Event: two were created at once, and admission saw neither.
 * @returns undefined when its network is its own
 */
function subnetConflict(subnet: SpiderSubnet, all: Iterable<SpiderSubnet>): string | undefined {
  const cidr = networkOf(subnet)
  if (cidr === undefined) return undefined
  for (const other of all) {
    const network = networkOf(other)
    const isOlder = other.metadata.uid !== subnet.metadata.uid && ageOf(other) < ageOf(subnet)
    if (!isOlder || network === undefined || !rangesOverlap(cidr, network)) continue
    const networks = `${formatCidr(cidr)} overlaps ${formatCidr(network)}`
    return `spec.subnet: ${networks} of SpiderSubnet "${other.metadata.name}", which is older: delete one of the two`
  }
  return undefined
}

/**
 * What is to be told when a subnet is seen: of itself, and of younger ones that were seen before it.
 * @returns pairs of a subnet and what it has in common with an older one
 */
export function subnetConflicts(
  seen: SpiderSubnet,
  all: Iterable<SpiderSubnet>,
): readonly (readonly [SpiderSubnet, string])[] {
  const known = [...all]
  const candidates = [seen, ...known.filter(({ metadata }) => metadata.uid !== seen.metadata.uid)]
  return candidates.flatMap((subnet) => {
    const message = subnetConflict(subnet, subnet === seen ? known : [seen])
    return message === undefined ? [] : [[subnet, message] as const]
  })
}

function networkOf({ spec }: SpiderSubnet): Cidr | undefined {
  try {
    return parseCidr(spec.subnet)
  } catch (error) {
    if (error instanceof InvalidInputError) return undefined
    throw error
  }
}

const ageOf = ({ metadata }: SpiderSubnet): string => `${metadata.creationTimestamp ?? ''} ${metadata.name}`
