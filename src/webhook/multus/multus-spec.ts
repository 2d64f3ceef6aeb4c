import {
  blockOfCniType,
  type MultusParentConfig,
  type MultusPools,
  type SpiderMultusConfig,
} from '../../api/index.ts'

/** The blocks of `spec` with the fields that admission reads; their shape is checked against the CRD before. */
export interface MultusBlocks {
  readonly macvlan?: MultusParentConfig
  readonly ipvlan?: MultusParentConfig
  readonly vlan?: MultusParentConfig & { readonly vlanMode?: 'manual' | 'auto' }
  readonly sriov?: SriovBlock
  readonly ibsriov?: IbSriovBlock
  readonly ipoib?: { readonly master?: string; readonly ippools?: MultusPools }
  readonly ovs?: OvsBlock
}

export interface SriovBlock {
  readonly resourceName?: string
  readonly vlanID?: number
  readonly mtu?: number
  readonly minTxRateMbps?: number
  readonly maxTxRateMbps?: number
  readonly rdmaIsolation?: boolean
  readonly ippools?: MultusPools
}

export interface IbSriovBlock {
  readonly resourceName?: string
  readonly pkey?: string
  readonly linkState?: string
  readonly rdmaIsolation?: boolean
  readonly enableIbKubernetes?: boolean
  readonly ippools?: MultusPools
}

export interface OvsBlock {
  readonly bridge: string
  readonly vlan?: number
  readonly trunk?: readonly { readonly minID?: number; readonly maxID?: number; readonly id?: number }[]
  readonly ippools?: MultusPools
}

export type BlockName = keyof MultusBlocks

/** The blocks of an object whose shape was checked. */
export function blocksOf(config: SpiderMultusConfig): MultusBlocks {
  const spec: object = config.spec
  return spec as MultusBlocks
}

/** The block that belongs to the CNI type; undefined for custom. */
export function blockNameOf(config: SpiderMultusConfig): BlockName | undefined {
  const type = config.spec.cniType ?? 'custom'
  return type === 'custom' ? undefined : blockOfCniType[type]
}
