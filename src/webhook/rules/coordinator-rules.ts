import {
  formatIp,
  formatIpWithPrefix,
  parseIpWithPrefix,
  tryParseIp,
  tryParseIpWithPrefix,
} from '../../address/index.ts'
import type { SpiderCoordinator } from '../../api/index.ts'
import { InvalidInputError } from '../../base/index.ts'
import { invalid, notSupported, type Problem } from '../problem.ts'

/** Settings of the coordinator plugin, cluster-wide or of one network. */
export type CoordinatorSpec = SpiderCoordinator['spec']

const cidrTypes = ['auto', 'cluster', 'calico', 'cilium', 'none']
const macPrefixPattern = /^[0-9a-fA-F]{2}:[0-9a-fA-F]{2}$/
const evenFirstByte = /^[0-9a-fA-F][02468aceACE]/

/** spec/webhooks.md §6, mutation, without the finalizer: nothing of ours has to be done before a coordinator goes. */
export function mutateCoordinator(coordinator: SpiderCoordinator): SpiderCoordinator {
  const filled = { ...coordinator, spec: withDefaults(coordinator.spec) }
  if (coordinator.metadata.deletionTimestamp !== undefined || filled.spec.podCIDRType === undefined)
    return filled
  try {
    const { hijackCIDR, policyRoutes } = filled.spec
    const spec = {
      ...filled.spec,
      ...(hijackCIDR === undefined ? {} : { hijackCIDR: hijackCIDR.map(withPrefixLength) }),
      ...(policyRoutes === undefined
        ? {}
        : { policyRoutes: policyRoutes.map((route) => ({ ...route, dst: prefixText(route.dst) })) }),
    }
    return { ...filled, spec }
  } catch (error) {
    // Validation names what is wrong; a mutation never refuses.
    if (error instanceof InvalidInputError) return filled
    throw error
  }
}

function withDefaults(spec: CoordinatorSpec): CoordinatorSpec {
  return {
    mode: 'auto',
    tunePodRoutes: true,
    hostRuleTable: 500,
    podRPFilter: 0,
    txQueueLen: 0,
    vethLinkAddress: '',
    vethMTU: 1500,
    ...spec,
  }
}

function withPrefixLength(text: string): string {
  return text.includes('/') ? text : prefixText(text)
}

function prefixText(text: string): string {
  const ip = tryParseIp(text)
  if (ip !== undefined) return `${formatIp(ip)}/${ip.version === 4 ? 32 : 128}`
  return formatIpWithPrefix(parseIpWithPrefix(text))
}

/**
 * C-01 to C-12.
 * @param path of the block, `spec` or `spec.coordinator`
 * @param isWhole true for a SpiderCoordinator, whose podCIDRType must be there
 */
export function coordinatorProblems(
  spec: CoordinatorSpec,
  path: string,
  isWhole: boolean,
): readonly Problem[] {
  const problem =
    cidrTypeProblem(spec, path, isWhole) ??
    hijackProblem(spec, path) ??
    policyRouteProblem(spec, path) ??
    macPrefixProblem(spec, path) ??
    numberProblem(spec, path, isWhole) ??
    linkProblem(spec, path)
  return problem === undefined ? [] : [problem]
}

function cidrTypeProblem(
  { podCIDRType }: CoordinatorSpec,
  path: string,
  isWhole: boolean,
): Problem | undefined {
  if (podCIDRType === undefined ? !isWhole : cidrTypes.includes(podCIDRType)) return undefined
  const problem = podCIDRType === undefined ? 'is missing' : 'is not known'
  return notSupported(`${path}.podCIDRType`, podCIDRType, problem, `write one of ${cidrTypes.join(', ')}`)
}

function hijackProblem({ hijackCIDR = [] }: CoordinatorSpec, path: string): Problem | undefined {
  const at = hijackCIDR.findIndex((text) => familyOf(text) === undefined)
  if (at < 0) return undefined
  return invalid(
    `${path}.hijackCIDR[${at}]`,
    hijackCIDR[at],
    'is neither an IP address nor a CIDR',
    destinationHint,
  )
}

const destinationHint = 'write one, such as 10.96.0.0/12 or 169.254.1.1'

function policyRouteProblem({ policyRoutes = [] }: CoordinatorSpec, path: string): Problem | undefined {
  for (const [i, { dst, gw }] of policyRoutes.entries()) {
    const field = `${path}.policyRoutes[${i}]`
    const family = familyOf(dst)
    if (family === undefined) {
      return invalid(`${field}.dst`, dst, 'is neither an IP address nor a CIDR', destinationHint)
    }
    const hop = tryParseIp(gw)
    const hint = `write the address of a router of IPv${family}`
    if (hop === undefined) return invalid(`${field}.gw`, gw, 'is not an IP address', hint)
    if (hop.version === family) continue
    return invalid(field, { dst, gw }, `has a dst of IPv${family} and a gw of IPv${hop.version}`, hint)
  }
  return undefined
}

function familyOf(text: string): number | undefined {
  return tryParseIp(text)?.version ?? tryParseIpWithPrefix(text)?.ip.version
}

function macPrefixProblem({ podMACPrefix = '' }: CoordinatorSpec, path: string): Problem | undefined {
  if (podMACPrefix === '') return undefined
  const field = `${path}.podMACPrefix`
  const hint = 'write two bytes in hexadecimal with an even first byte, such as 0a:1b, or leave it empty'
  if (!macPrefixPattern.test(podMACPrefix)) {
    return invalid(field, podMACPrefix, 'is not two bytes in hexadecimal joined by a colon', hint)
  }
  if (evenFirstByte.test(podMACPrefix)) return undefined
  return invalid(field, podMACPrefix, 'is the start of a multicast address', hint)
}

function numberProblem(spec: CoordinatorSpec, path: string, isWhole: boolean): Problem | undefined {
  const { txQueueLen = 0, podRPFilter } = spec
  if (txQueueLen < 0) return invalid(`${path}.txQueueLen`, txQueueLen, 'is negative', 'write 0 or more')
  if (podRPFilter === undefined ? !isWhole : podRPFilter <= 2) return undefined
  const hint = 'write 0, 1 or 2, or a negative number to leave it alone'
  return notSupported(`${path}.podRPFilter`, podRPFilter, 'is no mode of the filter', hint)
}

function linkProblem(spec: CoordinatorSpec, path: string): Problem | undefined {
  const { vethLinkAddress = '', vethMTU = 1500 } = spec
  if (vethLinkAddress !== '' && tryParseIp(vethLinkAddress) === undefined) {
    const hint = 'write one, such as 169.254.100.1, or leave it empty'
    return invalid(`${path}.vethLinkAddress`, vethLinkAddress, 'is not an IP address', hint)
  }
  if (vethMTU > 0) return undefined
  return invalid(`${path}.vethMTU`, vethMTU, 'is not positive', 'write 1 or more, such as 1500')
}
