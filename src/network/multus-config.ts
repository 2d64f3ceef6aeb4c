import {
  type MultusParentConfig,
  type NetworkAttachmentDefinition,
  type SpiderCoordinator,
  type SpiderMultusConfig,
  spiderGroup,
  spiderVersion,
} from '../api/index.ts'
import { InvalidInputError, joinJsonMembers, jsonMembers, parseJson } from '../base/index.ts'

/** Annotation with the name of the derived NetworkAttachmentDefinition. */
export const nadNameAnnotation = 'multus.spidernet.io/cr-name'
const cniVersionAnnotation = 'multus.spidernet.io/cni-version'
const networkNameAnnotation = 'cni.spidernet.io/cniconfig-name'
const lastAppliedAnnotation = 'kubectl.kubernetes.io/last-applied-configuration'
const ownAnnotations = [nadNameAnnotation, cniVersionAnnotation, networkNameAnnotation, lastAppliedAnnotation]
const cniVersions = ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0']
const subdomain = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/
const maxInterfaceNameBytes = 15

type Members = [string, string][]

/** Name of the NetworkAttachmentDefinition that a SpiderMultusConfig makes. */
export function nadNameOf(config: SpiderMultusConfig): string {
  const given = config.metadata.annotations?.[nadNameAnnotation] ?? ''
  return given === '' ? config.metadata.name : given
}

/**
 * The NetworkAttachmentDefinition that a SpiderMultusConfig stands for, in the same namespace, owned by it.
 * @throws {InvalidInputError} naming field, value and remedy; types other than macvlan are refused by name
 */
export function renderNetworkAttachment(config: SpiderMultusConfig): NetworkAttachmentDefinition {
  const { metadata, spec } = config
  const annotations = metadata.annotations ?? {}
  const name = nadNameOf(config)
  if (!subdomain.test(name) || name.length > 253)
    throw new InvalidInputError(
      annotationField(nadNameAnnotation),
      name,
      'is not an object name',
      'write a DNS name',
    )
  const cniType = spec.cniType ?? 'custom'
  if (cniType !== 'macvlan')
    throw new InvalidInputError('spec.cniType', cniType, 'is not in this release', 'use macvlan')
  const copied = Object.entries(annotations).filter(([key]) => !ownAnnotations.includes(key))
  return {
    apiVersion: 'k8s.cni.cncf.io/v1',
    kind: 'NetworkAttachmentDefinition',
    metadata: {
      name,
      ...(metadata.namespace === undefined ? {} : { namespace: metadata.namespace }),
      labels: { 'app.kubernetes.io/managed-by': 'spiderpool' },
      ...(copied.length === 0 ? {} : { annotations: Object.fromEntries(copied) }),
      ownerReferences: [
        {
          apiVersion: `${spiderGroup}/${spiderVersion}`,
          kind: 'SpiderMultusConfig',
          name: metadata.name,
          uid: metadata.uid ?? '',
          controller: true,
          blockOwnerDeletion: true,
        },
      ],
    },
    spec: { config: renderConfig(config, name) },
  }
}

function renderConfig(config: SpiderMultusConfig, nadName: string): string {
  const { spec } = config
  const annotations = config.metadata.annotations ?? {}
  const version = annotations[cniVersionAnnotation] || '0.3.1'
  if (!cniVersions.includes(version)) {
    const hint = `write one of ${cniVersions.join(', ')}`
    throw new InvalidInputError(annotationField(cniVersionAnnotation), version, 'is not a CNI version', hint)
  }
  const networkName = annotations[networkNameAnnotation] || nadName
  if (!/^[A-Za-z0-9][A-Za-z0-9_.-]{0,199}$/.test(networkName)) {
    const hint = 'use letters, digits, "_", "." and "-"'
    throw new InvalidInputError(
      annotationField(networkNameAnnotation),
      networkName,
      'is not a network name',
      hint,
    )
  }
  const block = spec.macvlan
  if (block === undefined)
    throw new InvalidInputError(
      'spec.macvlan',
      '',
      'is missing',
      'write spec.macvlan.master for cniType macvlan',
    )
  const link = renderMacvlan(block, spec.disableIPAM !== true)
  const chained = (spec.chainCNIJsonData ?? []).map((text, at) =>
    chainElement(`spec.chainCNIJsonData[${at}]`, text),
  )
  const coordinator = (spec.enableCoordinator ?? true) ? [renderCoordinator(spec.coordinator ?? {})] : []
  return joinJsonMembers([
    ['cniVersion', JSON.stringify(version)],
    ['name', JSON.stringify(networkName)],
    ['plugins', `[${[...link, ...chained, ...coordinator].join(',')}]`],
  ])
}

/** `[ifacer] macvlan`: ifacer makes the VLAN sub-interface or bond that macvlan stands on. */
function renderMacvlan(block: MultusParentConfig, hasIpam: boolean): readonly string[] {
  const vlanId = block.vlanID ?? 0
  if (!Number.isInteger(vlanId) || vlanId < 0 || vlanId > 4094)
    throw new InvalidInputError(
      'spec.macvlan.vlanID',
      vlanId,
      'is not a VLAN id',
      'write 0-4094; 0 is untagged',
    )
  const mtu = block.mtu ?? 0
  if (!Number.isInteger(mtu) || mtu < 0 || mtu > 65_535)
    throw new InvalidInputError(
      'spec.macvlan.mtu',
      mtu,
      'is not an MTU',
      'write 0-65535; 0 is that of the master',
    )
  const master = masterName(block, vlanId)
  const members: Members = [
    ['type', '"macvlan"'],
    ['master', JSON.stringify(master)],
    ['mode', '"bridge"'],
  ]
  if (mtu > 0) members.push(['mtu', String(mtu)])
  if (hasIpam) members.push(['ipam', renderIpam(block)])
  const needsIfacer = vlanId !== 0 || block.master.length > 1
  return [...(needsIfacer ? [renderIfacer(block, vlanId)] : []), joinJsonMembers(members)]
}

function masterName(block: MultusParentConfig, vlanId: number): string {
  const field = 'spec.macvlan.master'
  const masters = Array.isArray(block.master) ? block.master : []
  if (masters.length === 0)
    throw new InvalidInputError(
      field,
      block.master ?? '',
      'is empty',
      'name the parent interface, such as ["ens192"]',
    )
  masters.forEach((name, index) => {
    requireInterfaceName(`${field}[${index}]`, name)
    if (masters.indexOf(name) !== index)
      throw new InvalidInputError(`${field}[${index}]`, name, 'is listed twice', 'list each interface once')
  })
  const bond = block.bond?.name ?? ''
  if (masters.length > 1 && bond === '')
    throw new InvalidInputError(
      'spec.macvlan.bond.name',
      bond,
      'is missing',
      'name the bond of these masters',
    )
  const parent = masters.length > 1 ? bond : (masters[0] ?? '')
  const master = vlanId === 0 ? parent : `${parent}.${vlanId}`
  requireInterfaceName(masters.length > 1 ? 'spec.macvlan.bond.name' : field, master)
  return master
}

function requireInterfaceName(field: string, name: unknown): void {
  const isName = typeof name === 'string' && /^[^\s/:\p{Cc}]+$/u.test(name) && name !== '.' && name !== '..'
  if (isName && Buffer.byteLength(name) <= maxInterfaceNameBytes) return
  const hint = `use 1-${maxInterfaceNameBytes} bytes without "/", ":" and white space, VLAN suffix included`
  throw new InvalidInputError(field, name, 'is not an interface name', hint)
}

function renderIpam(block: MultusParentConfig): string {
  const pools = block.ippools ?? {}
  if (pools.matchMasterSubnet === true)
    throw new InvalidInputError(
      'spec.macvlan.ippools.matchMasterSubnet',
      true,
      'works with sriov alone',
      'remove it',
    )
  const members: Members = [['type', '"spiderpool"']]
  if ((pools.ipv4 ?? []).length > 0) members.push(['default_ipv4_ippool', JSON.stringify(pools.ipv4)])
  if ((pools.ipv6 ?? []).length > 0) members.push(['default_ipv6_ippool', JSON.stringify(pools.ipv6)])
  return joinJsonMembers(members)
}

function renderIfacer(block: MultusParentConfig, vlanId: number): string {
  const members: Members = []
  if (vlanId !== 0) members.push(['vlanID', String(vlanId)])
  members.push(['type', '"ifacer"'], ['interfaces', JSON.stringify(block.master)])
  const { bond } = block
  if (block.master.length > 1 && bond !== undefined) {
    if (!Number.isInteger(bond.mode) || bond.mode < 0 || bond.mode > 6)
      throw new InvalidInputError('spec.macvlan.bond.mode', bond.mode, 'is not a bond mode', 'write 0-6')
    const options = bond.options === undefined || bond.options === '' ? {} : { options: bond.options }
    members.push(['bond', JSON.stringify({ name: bond.name, mode: bond.mode, ...options })])
  }
  return joinJsonMembers(members)
}

function chainElement(field: string, text: string): string {
  const hint = 'write one plugin object such as {"type":"bandwidth"}'
  let value: unknown
  try {
    value = parseJson(text)
  } catch {
    throw new InvalidInputError(field, text, 'is not JSON', hint)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new InvalidInputError(field, text, 'is not an object', hint)
  const type: unknown = 'type' in value ? value.type : undefined
  if (typeof type !== 'string' || type === '')
    throw new InvalidInputError(`${field}.type`, type ?? '', 'is missing', hint)
  return joinJsonMembers(jsonMembers(text)) // compact at the top, raw below
}

// What is not set is left to the cluster's SpiderCoordinator, resolved when the plugin runs.
function renderCoordinator(spec: SpiderCoordinator['spec']): string {
  const members: Members = []
  const put = (key: string, value: unknown): void => {
    const isNeutral = value === undefined || value === '' || (Array.isArray(value) && value.length === 0)
    if (!isNeutral) members.push([key, JSON.stringify(value)])
  }
  put('txQueueLen', spec.txQueueLen === 0 ? undefined : spec.txQueueLen)
  put('vethLinkAddress', spec.vethLinkAddress)
  put('vethMTU', spec.vethMTU)
  put('tunePodRoutes', spec.tunePodRoutes)
  put('podMACPrefix', spec.podMACPrefix)
  put('mode', spec.mode)
  put('type', 'coordinator')
  put('podDefaultRouteNic', spec.podDefaultRouteNIC)
  put('podRPFilter', spec.podRPFilter)
  put('hijackCIDR', spec.hijackCIDR)
  put('policyRoutes', spec.policyRoutes)
  return joinJsonMembers(members)
}

function annotationField(key: string): string {
  return `metadata.annotations["${key}"]`
}
