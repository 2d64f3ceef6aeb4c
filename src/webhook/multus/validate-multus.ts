import {
  annotationKeys,
  controllerOf,
  isDnsSubdomain,
  type NetworkAttachmentDefinition,
  type SpiderMultusConfig,
} from '../../api/index.ts'
import { parseJson } from '../../base/index.ts'
import { forbidden, invalid, type Problem } from '../problem.ts'
import { coordinatorProblems } from '../rules/coordinator-rules.ts'
import { blockProblem } from './block-rules.ts'

const cniVersions = ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0']
const field = 'metadata.annotations'

/** Name of the NetworkAttachmentDefinition that a SpiderMultusConfig gives. */
export function attachmentNameOf({ metadata }: SpiderMultusConfig): string {
  return metadata.annotations?.[annotationKeys.multusCrName] ?? metadata.name
}

/** Problems of a network (spec/webhooks.md §7.2); `old` is absent on create. */
export function multusProblems(
  config: SpiderMultusConfig,
  old: SpiderMultusConfig | undefined,
  attachment: NetworkAttachmentDefinition | undefined,
): readonly Problem[] {
  const first =
    renameProblem(config, old) ??
    takenProblem(config, attachment) ??
    cniVersionProblem(config) ??
    blockProblem(config)
  if (first !== undefined) return [first]
  const coordinator = coordinatorProblems(config.spec.coordinator ?? {}, 'spec.coordinator', false)
  if (coordinator.length > 0) return coordinator
  const chain = chainProblem(config)
  return chain === undefined ? [] : [chain]
}

/** M-01, M-02. */
function renameProblem(config: SpiderMultusConfig, old: SpiderMultusConfig | undefined): Problem | undefined {
  const key = annotationKeys.multusCrName
  const name = config.metadata.annotations?.[key]
  if (name === undefined) return undefined
  const stored = old?.metadata.annotations?.[key]
  if (old !== undefined && stored !== name) {
    const problem = `renames the attachment from "${stored ?? old.metadata.name}" (${key})`
    return invalid(field, name, problem, 'create another SpiderMultusConfig for another name')
  }
  if (isDnsSubdomain(name)) return undefined
  const hint = 'write small letters, digits, - and ., with a letter or digit at both ends'
  return invalid(field, name, `is no object name (${key})`, hint)
}

/** M-03. */
function takenProblem(
  config: SpiderMultusConfig,
  attachment: NetworkAttachmentDefinition | undefined,
): Problem | undefined {
  const owner = attachment === undefined ? undefined : controllerOf(attachment.metadata)
  if (attachment === undefined || owner?.kind !== 'SpiderMultusConfig') return undefined
  if (owner.name === config.metadata.name) return undefined
  const name = attachmentNameOf(config)
  const problem = `names a NetworkAttachmentDefinition that SpiderMultusConfig "${owner.name}" already makes`
  return invalid(field, name, problem, `write another name into annotation ${annotationKeys.multusCrName}`)
}

/** M-04; 1.1.0 is accepted too. */
function cniVersionProblem({ metadata }: SpiderMultusConfig): Problem | undefined {
  const key = annotationKeys.multusCniVersion
  const version = metadata.annotations?.[key]
  if (version === undefined || cniVersions.includes(version)) return undefined
  return invalid(
    field,
    version,
    `is no CNI version that works here (${key})`,
    `write one of ${cniVersions.join(', ')}`,
  )
}

/** M-20. */
function chainProblem({ spec }: SpiderMultusConfig): Problem | undefined {
  const entries = spec.chainCNIJsonData ?? []
  const at = entries.findIndex((text) => !isPluginConfig(text))
  if (at < 0) return undefined
  const hint = 'write the JSON object of one CNI plugin, such as {"type":"bandwidth"}'
  return forbidden(
    `spec.chainCNIJsonData[${at}]`,
    entries[at],
    'is no CNI plugin configuration with a type',
    hint,
  )
}

function isPluginConfig(text: string): boolean {
  try {
    const parsed = parseJson(text)
    const isObject = typeof parsed === 'object' && parsed !== null && 'type' in parsed
    return isObject && typeof parsed.type === 'string' && parsed.type !== ''
  } catch (error) {
    if (error instanceof SyntaxError) return false
    throw error
  }
}
