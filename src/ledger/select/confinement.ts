import { annotationKeys, compileWildcard, isWildcard, parseNamespaceConfinement } from '../../api/index.ts'
import type { SelectionInput } from './selection-input.ts'

/** The only pools that the pods of a namespace may use, whatever source names others. */
export interface Confinement {
  /** As written: names or wildcards. */
  readonly entries: readonly string[]
  allows(pool: string): boolean
}

// By the namespace of one request: its annotation is read once, and not for each pool.
const known = new WeakMap<SelectionInput['namespace'], Confinement | 'none'>()

/**
 * What the namespace is confined to; undefined when it may use any pool. An empty list allows none.
 * @throws {InvalidInputError} when the annotation cannot be read: then nothing may be used
 */
export function confinementOf(namespace: SelectionInput['namespace']): Confinement | undefined {
  let found = known.get(namespace)
  if (found === undefined) {
    found = readConfinement(namespace.annotations[annotationKeys.namespaceConfinement])
    known.set(namespace, found)
  }
  return found === 'none' ? undefined : found
}

function readConfinement(text: string | undefined): Confinement | 'none' {
  if (text === undefined) return 'none'
  const entries = parseNamespaceConfinement(text)
  const names = new Set(entries.filter((entry) => !isWildcard(entry)))
  const patterns = entries
    .filter(isWildcard)
    .map((entry) => compileWildcard(entry, annotationKeys.namespaceConfinement))
  return { entries, allows: (pool) => names.has(pool) || patterns.some((fits) => fits(pool)) }
}
