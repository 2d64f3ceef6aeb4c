import { annotationKeys, type SpiderMultusConfig } from '../../api/index.ts'
import type { CoordinatorSpec } from '../rules/coordinator-rules.ts'
import { type BlockName, blockNameOf, blocksOf } from './multus-spec.ts'

type Members = Readonly<Record<string, unknown>>

const parentDefaults: Members = { vlanID: 0, mtu: 0, rdmaResourceName: '', ippools: {} }

const blockDefaults: Readonly<Record<BlockName, Members>> = {
  macvlan: parentDefaults,
  ipvlan: parentDefaults,
  vlan: { vlanMode: 'manual', mtu: 0, rdmaResourceName: '', ippools: {} },
  sriov: {
    vlanID: 0,
    mtu: 0,
    minTxRateMbps: 0,
    maxTxRateMbps: 0,
    rdmaIsolation: false,
    resourceName: '',
    ippools: { matchMasterSubnet: false },
  },
  ibsriov: {
    pkey: '',
    enableIbKubernetes: false,
    rdmaIsolation: true,
    resourceName: '',
    linkState: 'enable',
    ippools: {},
  },
  ipoib: { ippools: {} },
  ovs: { vlan: 0, ippools: {} },
}

/** The coordinator block of a network that has none (spec/api.md §8.2). */
const newCoordinator: CoordinatorSpec = {
  mode: 'auto',
  podRPFilter: 0,
  tunePodRoutes: true,
  podMACPrefix: '',
  podDefaultRouteNIC: '',
  vethLinkAddress: '',
}
const coordinatorDefaults: CoordinatorSpec = {
  mode: 'auto',
  podMACPrefix: '',
  podDefaultRouteNIC: '',
  txQueueLen: 0,
  podRPFilter: 0,
  tunePodRoutes: false,
}

/** spec/webhooks.md §7.1; `old` is absent on create. */
export function mutateMultusConfig(config: SpiderMultusConfig, old?: SpiderMultusConfig): SpiderMultusConfig {
  const cniType = config.spec.cniType ?? 'custom'
  const typed = { ...config, spec: { ...config.spec, cniType } }
  const withBlock = cniType === 'custom' ? asCustom(typed) : asPlugin(typed)
  const chained = { chainCNIJsonData: [], ...withBlock.spec }
  return { ...withBlock, spec: chained, metadata: withInjectLabels(config, old) }
}

function asCustom(config: SpiderMultusConfig): SpiderMultusConfig {
  const { coordinator: _, ...spec } = config.spec
  return { ...config, spec: { customCNI: '', ...spec, enableCoordinator: false } }
}

function asPlugin(config: SpiderMultusConfig): SpiderMultusConfig {
  // The empty text that this webhook added while the type was custom must not stand in the way of another type.
  const { customCNI, coordinator, ...rest } = config.spec
  const name = blockNameOf(config)
  const block = name === undefined ? undefined : blocksOf(config)[name]
  const spec = {
    ...rest,
    ...(customCNI === undefined || customCNI === '' ? {} : { customCNI }),
    ...(name === undefined || block === undefined ? {} : { [name]: filledBlock(name, { ...block }) }),
    coordinator: coordinator === undefined ? newCoordinator : { ...coordinatorDefaults, ...coordinator },
  }
  return { ...config, spec }
}

function filledBlock(name: BlockName, block: Members): Members {
  const filled = { ...blockDefaults[name], ...block }
  const isManualVlan = name === 'vlan' && filled['vlanMode'] === 'manual'
  const tagged = isManualVlan ? { vlanID: 0, ...filled } : filled
  const bond = tagged['bond']
  const hasBond = typeof bond === 'object' && bond !== null
  return hasBond ? { ...tagged, bond: { options: '', ...bond } } : tagged
}

/** The labels that pods are matched by follow the annotations, also when one of those goes. */
function withInjectLabels(
  { metadata }: SpiderMultusConfig,
  old: SpiderMultusConfig | undefined,
): SpiderMultusConfig['metadata'] {
  const labels: Record<string, string> = { ...metadata.labels }
  for (const key of [annotationKeys.rdmaResourceInject, annotationKeys.networkResourceInject]) {
    const value = metadata.annotations?.[key]
    if (value !== undefined) labels[key] = value
    else if (old?.metadata.annotations?.[key] !== undefined) delete labels[key]
  }
  return Object.keys(labels).length === 0 && metadata.labels === undefined
    ? metadata
    : { ...metadata, labels }
}
