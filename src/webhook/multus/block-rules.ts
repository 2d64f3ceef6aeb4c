import {
  annotationKeys,
  type MultusParentConfig,
  type MultusPools,
  type SpiderMultusConfig,
} from '../../api/index.ts'
import { forbidden, invalid, type Problem, required } from '../problem.ts'
import {
  type BlockName,
  blockNameOf,
  blocksOf,
  type IbSriovBlock,
  type OvsBlock,
  type SriovBlock,
} from './multus-spec.ts'

const maxTag = 4094

/** M-05 to M-18: the block of the CNI type, and nothing of another type. */
export function blockProblem(config: SpiderMultusConfig): Problem | undefined {
  const type = config.spec.cniType ?? 'custom'
  const name = blockNameOf(config)
  const injected = injectKey(config)
  if (injected !== undefined && (name === undefined || name === 'ovs')) {
    const hint = `remove annotation ${injected}, or use another cniType`
    return forbidden('spec.cniType', type, `cannot be injected into pods (annotation ${injected})`, hint)
  }
  if (name === undefined) return strangerProblem(config, undefined) ?? customProblem(config)
  const blocks = blocksOf(config)
  if (blocks[name] === undefined) {
    return required(`spec.${name}`, undefined, `is missing, and cniType is ${type}`, `write spec.${name}`)
  }
  return (
    ownBlockProblem(config, name) ?? strangerProblem(config, name) ?? injectProblem(config, name, injected)
  )
}

function ownBlockProblem(config: SpiderMultusConfig, name: BlockName): Problem | undefined {
  const blocks = blocksOf(config)
  const path = `spec.${name}`
  switch (name) {
    case 'macvlan':
    case 'ipvlan':
      return blocks[name] === undefined ? undefined : parentProblem(blocks[name], path)
    case 'vlan':
      return blocks.vlan === undefined ? undefined : vlanProblem(blocks.vlan, path)
    case 'sriov':
      return blocks.sriov === undefined ? undefined : sriovProblem(blocks.sriov, path)
    case 'ibsriov':
      return emptyProblem(blocks.ibsriov?.resourceName, `${path}.resourceName`)
    case 'ipoib':
      return emptyProblem(blocks.ipoib?.master, `${path}.master`)
    case 'ovs':
      return blocks.ovs === undefined ? undefined : ovsProblem(blocks.ovs, path)
  }
}

function parentProblem(block: MultusParentConfig, path: string): Problem | undefined {
  return (
    tagProblem(block.vlanID, `${path}.vlanID`) ??
    mtuProblem(block.mtu, path) ??
    (block.ippools?.matchMasterSubnet === true
      ? invalid(`${path}.ippools.matchMasterSubnet`, true, 'works for sriov alone', 'leave it out')
      : undefined) ??
    masterProblem(block, path)
  )
}

function masterProblem({ master, bond }: MultusParentConfig, path: string): Problem | undefined {
  if (master.length === 0 || master.includes('')) {
    return invalid(`${path}.master`, master, 'names no parent interface', 'write one, such as ens192')
  }
  if (bond?.name === '') return invalid(`${path}.bond.name`, '', 'is empty', 'write a name, such as bond0')
  if (master.length < 2 || bond !== undefined) return undefined
  return invalid(
    `${path}.bond`,
    master,
    'is missing, and there are several masters',
    'write bond.name and bond.mode',
  )
}

function vlanProblem(
  block: MultusParentConfig & { readonly vlanMode?: 'manual' | 'auto' },
  path: string,
): Problem | undefined {
  const parent = parentProblem(block, path)
  if (parent !== undefined) return parent
  const field = `${path}.vlanID`
  if (block.vlanMode === 'auto' && block.vlanID !== undefined) {
    return invalid(field, block.vlanID, 'is given by the provider when vlanMode is auto', 'leave vlanID out')
  }
  if (block.vlanMode === 'auto' || block.vlanID !== undefined) return undefined
  return invalid(field, undefined, 'is missing, and vlanMode is manual', `write 0 to ${maxTag}`)
}

function sriovProblem(block: SriovBlock, path: string): Problem | undefined {
  const { minTxRateMbps = 0, maxTxRateMbps = 0 } = block
  if (minTxRateMbps > maxTxRateMbps) {
    const hint = 'raise maxTxRateMbps or lower minTxRateMbps'
    return invalid(`${path}.minTxRateMbps`, minTxRateMbps, `is above maxTxRateMbps ${maxTxRateMbps}`, hint)
  }
  return (
    tagProblem(block.vlanID, `${path}.vlanID`) ??
    mtuProblem(block.mtu, path) ??
    emptyProblem(block.resourceName, `${path}.resourceName`)
  )
}

function ovsProblem(block: OvsBlock, path: string): Problem | undefined {
  const tag = tagProblem(block.vlan, `${path}.vlan`)
  if (tag !== undefined) return tag
  for (const [i, { minID, maxID, id }] of (block.trunk ?? []).entries()) {
    const field = `${path}.trunk[${i}]`
    const outside =
      tagProblem(minID, `${field}.minID`) ??
      tagProblem(maxID, `${field}.maxID`) ??
      tagProblem(id, `${field}.id`)
    if (outside !== undefined) return outside
    if (minID !== undefined && maxID !== undefined && maxID < minID) {
      return invalid(`${field}.maxID`, maxID, `is below minID ${minID}`, 'exchange the two')
    }
  }
  return undefined
}

function tagProblem(tag: number | undefined, field: string): Problem | undefined {
  if (tag === undefined || (tag >= 0 && tag <= maxTag)) return undefined
  return invalid(field, tag, 'is no VLAN tag', `write 0 to ${maxTag}`)
}

function mtuProblem(mtu: number | undefined, path: string): Problem | undefined {
  if (mtu === undefined || mtu >= 0) return undefined
  return invalid(
    `${path}.mtu`,
    mtu,
    'is negative',
    'write 0 for the choice of the kernel, or a positive number',
  )
}

function emptyProblem(text: string | undefined, field: string): Problem | undefined {
  return text === undefined || text === '' ? required(field, text, 'is missing', `write ${field}`) : undefined
}

/** M-14; an empty `customCNI` is as good as none. */
function strangerProblem(config: SpiderMultusConfig, own: BlockName | undefined): Problem | undefined {
  const blocks = blocksOf(config)
  const names: readonly BlockName[] = ['macvlan', 'ipvlan', 'vlan', 'sriov', 'ibsriov', 'ipoib', 'ovs']
  const stranger = names.find((name) => name !== own && blocks[name] !== undefined)
  const type = config.spec.cniType ?? 'custom'
  if (stranger !== undefined) {
    const hint = `remove spec.${stranger}, or change spec.cniType`
    return forbidden('spec.cniType', type, `does not go with spec.${stranger}`, hint)
  }
  const { customCNI = '' } = config.spec
  if (own === undefined || customCNI === '') return undefined
  const hint = 'remove spec.customCNI, or change spec.cniType to custom'
  return forbidden('spec.cniType', type, 'does not go with spec.customCNI', hint)
}

/** M-15. */
function customProblem(config: SpiderMultusConfig): Problem | undefined {
  const { customCNI = '' } = config.spec
  if (customCNI === '' || isJson(customCNI)) return undefined
  const hint = 'write a CNI configuration as JSON, or leave it empty'
  return forbidden('spec.customCNI', customCNI, 'is not JSON', hint)
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch (error) {
    if (error instanceof SyntaxError) return false
    throw error
  }
}

function injectKey({ metadata }: SpiderMultusConfig): string | undefined {
  const keys = [annotationKeys.rdmaResourceInject, annotationKeys.networkResourceInject]
  return keys.find((key) => metadata.annotations?.[key] !== undefined)
}

/** W-02: whether a network that a pod selects by annotation `key` can be injected. */
export function injectionProblem(config: SpiderMultusConfig, key: string): Problem | undefined {
  const type = config.spec.cniType ?? 'custom'
  const name = blockNameOf(config)
  if (name === undefined || name === 'ovs') {
    return forbidden('spec.cniType', type, 'cannot be injected into pods', 'use another cniType')
  }
  if (blocksOf(config)[name] === undefined) {
    return required(`spec.${name}`, undefined, `is missing, and cniType is ${type}`, `write spec.${name}`)
  }
  return injectProblem(config, name, key)
}

/** Resource that a pod needs for a network; '' for none, as for ipoib, whose parent is shared by all. */
export function injectedResourceOf(config: SpiderMultusConfig): string {
  const name = blockNameOf(config)
  if (name === undefined || name === 'ipoib') return ''
  return resourceNameOf(blocksOf(config)[name] ?? {})
}

/** M-16, M-17: what a pod webhook injects must be complete. */
function injectProblem(
  config: SpiderMultusConfig,
  name: BlockName,
  key: string | undefined,
): Problem | undefined {
  const block:
    | MultusParentConfig
    | SriovBlock
    | IbSriovBlock
    | { readonly ippools?: MultusPools }
    | undefined = blocksOf(config)[name]
  if (key === undefined || block === undefined) return undefined
  const resource = resourceNameOf(block)
  const { ipv4 = [], ipv6 = [] } = block.ippools ?? {}
  const hasPools = ipv4.length + ipv6.length > 0
  const isRdma = key === annotationKeys.rdmaResourceInject
  if (isRdma && resource === '') {
    const field = name === 'ipoib' ? `spec.${name}.master` : `spec.${name}.${nameFieldOf(name)}`
    return invalid(
      field,
      '',
      `is empty, and annotation ${key} is set`,
      `write ${field}, or remove the annotation`,
    )
  }
  if (hasPools || (!isRdma && resource === '')) return undefined
  const field = `spec.${name}.ippools`
  return invalid(
    field,
    block.ippools,
    `names no pool, and annotation ${key} is set`,
    `write ${field}.ipv4 or .ipv6`,
  )
}

function nameFieldOf(name: BlockName): string {
  return name === 'sriov' || name === 'ibsriov' ? 'resourceName' : 'rdmaResourceName'
}

function resourceNameOf(block: object): string {
  const members = block as Readonly<Record<string, unknown>>
  const value = members['rdmaResourceName'] ?? members['resourceName'] ?? members['master']
  return typeof value === 'string' ? value : '' // the master of other types is a list
}
