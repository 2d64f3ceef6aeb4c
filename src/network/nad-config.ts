import type { NetworkAttachmentDefinition } from '../api/index.ts'
import {
  InvalidInputError,
  joinJsonMembers,
  jsonElements,
  jsonMembers,
  parseJson,
  stringifyJson,
} from '../base/index.ts'

/** Where the CNI configuration of a NetworkAttachmentDefinition is. */
export type NadConfig =
  | { readonly kind: 'inline'; readonly text: string }
  | { readonly kind: 'onDisk'; readonly networkName: string }

/**
 * The CNI configuration of a NetworkAttachmentDefinition: its `spec.config`, with its own name put in when the text has
 * none; or, with an empty one, the network of that name on the node's disk.
 * @param label `namespace/name`, for the error
 * @throws {InvalidInputError} naming the object, the text found and the remedy
 */
export function configOfNad(label: string, nad: NetworkAttachmentDefinition): NadConfig {
  const text = nad.spec?.config ?? ''
  if (text.trim() === '') return { kind: 'onDisk', networkName: nad.metadata.name }
  const field = `NetworkAttachmentDefinition ${label}: spec.config`
  let value: unknown
  try {
    value = parseJson(text)
  } catch {
    throw new InvalidInputError(field, text, 'is not JSON', 'write a CNI configuration list')
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new InvalidInputError(field, text, 'is not an object', 'write a CNI configuration list')
  const name: unknown = 'name' in value ? value.name : undefined
  if (name !== undefined && name !== '') return { kind: 'inline', text }
  const members = new Map([['name', JSON.stringify(nad.metadata.name)], ...jsonMembers(text)])
  members.set('name', JSON.stringify(nad.metadata.name))
  return { kind: 'inline', text: joinJsonMembers(members) }
}

/**
 * Puts what a pod's request adds into each plugin object of a CNI configuration: `args.cni` (the pod's value wins) and
 * plain keys such as `deviceID`. All else stays as it is written.
 * @param text a checked configuration: a list, or one plugin
 */
export function withPluginExtras(
  text: string,
  extras: {
    readonly cniArgs: Readonly<Record<string, unknown>>
    readonly plain: Readonly<Record<string, unknown>>
  },
): string {
  if (Object.keys(extras.cniArgs).length === 0 && Object.keys(extras.plain).length === 0) return text
  const members = jsonMembers(text)
  const plugins = members.get('plugins')
  if (plugins === undefined) return joinJsonMembers(withExtras(members, extras))
  const changed = jsonElements(plugins).map((plugin) =>
    joinJsonMembers(withExtras(jsonMembers(plugin), extras)),
  )
  return joinJsonMembers(new Map(members).set('plugins', `[${changed.join(',')}]`))
}

function withExtras(
  members: ReadonlyMap<string, string>,
  extras: Parameters<typeof withPluginExtras>[1],
): ReadonlyMap<string, string> {
  const changed = new Map(members)
  if (Object.keys(extras.cniArgs).length > 0) {
    const args = objectMembers(members.get('args'))
    const cni = objectMembers(args.get('cni'))
    for (const [key, value] of Object.entries(extras.cniArgs)) cni.set(key, stringifyJson(value))
    changed.set('args', joinJsonMembers(args.set('cni', joinJsonMembers(cni))))
  }
  for (const [key, value] of Object.entries(extras.plain)) changed.set(key, stringifyJson(value))
  return changed
}

function objectMembers(raw: string | undefined): Map<string, string> {
  return raw?.startsWith('{') === true ? new Map(jsonMembers(raw)) : new Map<string, string>()
}
