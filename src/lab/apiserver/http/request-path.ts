import { badRequest, pathNotFound } from '../status.ts'

/** A REST path of the API, taken apart. */
export interface ResourcePath {
  readonly group: string
  readonly version: string
  readonly namespace: string // '' when the path names none
  readonly plural: string
  readonly name: string // '' for the collection
  readonly subresource: string // '' for the object itself
}

const namespaceSubresources = ['status', 'finalize']

/** The path segments, decoded. @throws {StatusError} 400 when an escape is broken */
export function splitPath(path: string): readonly string[] {
  try {
    return path
      .split('/')
      .filter((part) => part !== '')
      .map(decodeURIComponent)
  } catch {
    throw badRequest(
      `cannot decode path ${JSON.stringify(path)}: an escape in it is not UTF-8; write %25 for %`,
    )
  }
}

/** Segments after /api/VERSION or /apis/GROUP/VERSION. @throws {StatusError} 404 for a path of no known form */
export function parseResourcePath(group: string, version: string, segments: readonly string[]): ResourcePath {
  const [first = '', second = '', third, ...deep] = segments
  const isScope =
    first === 'namespaces' &&
    third !== undefined &&
    !(group === '' && deep.length === 0 && namespaceSubresources.includes(third))
  const namespace = isScope ? second : ''
  const [plural = '', name = '', subresource = '', ...more] = isScope ? segments.slice(2) : segments
  if (plural === '' || more.length > 0) throw pathNotFound()
  return { group, version, namespace, plural, name, subresource }
}
