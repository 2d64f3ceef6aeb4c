import type { SpiderMultusConfig } from '../../api/index.ts'
import { nadNameOf } from '../../network/index.ts'

const wait = 'comes in a later release, and until then pods of this network do not start'

/** An attachment that was made under another name is not taken from pods that may use it. */
export function renameWarnings(config: SpiderMultusConfig, old: SpiderMultusConfig): readonly string[] {
  const before = nadNameOf(old)
  if (before === nadNameOf(config)) return []
  const what = `metadata.annotations: NetworkAttachmentDefinition "${before}" of the name that was dropped stays`
  return [`${what}: delete it when no pod uses it`]
}

/** What a SpiderMultusConfig asks for that is accepted, but not carried out by this release, and what to write instead. */
export function multusWarnings({ spec }: SpiderMultusConfig): readonly string[] {
  const cniType = spec.cniType ?? 'custom'
  if (cniType !== 'macvlan') {
    const fate = 'comes in a later release, and until then no NetworkAttachmentDefinition is made'
    return [`spec.cniType "${cniType}" ${fate}: write macvlan, or the NetworkAttachmentDefinition yourself`]
  }
  const { master, vlanID = 0 } = spec.macvlan ?? { master: [] }
  const makesLink = vlanID !== 0 || master.length > 1
  const warnings: string[] = []
  if (makesLink) {
    const instead = 'make the interface on the nodes and name it alone in spec.macvlan.master'
    warnings.push(`spec.macvlan: making VLAN interfaces and bonds (plugin ifacer) ${wait}: ${instead}`)
  }
  if (spec.enableCoordinator ?? true) {
    warnings.push(`spec.enableCoordinator: the plugin coordinator ${wait}: set it to false`)
  }
  return warnings
}
