import type { Resource } from '../../api/index.ts'
import { InvalidInputError } from '../../base/index.ts'

/** One query parameter that is left out when undefined. */
export type Query = Readonly<Record<string, string | number | boolean | undefined>>

/** The path of all objects of `resource`, in one namespace or in all. */
export function collectionPath(resource: Resource, namespace?: string): string {
  const root =
    resource.group === '' ? `/api/${resource.version}` : `/apis/${resource.group}/${resource.version}`
  const inNamespace =
    resource.namespaced && namespace !== undefined
      ? `/namespaces/${segment(namespace, 'metadata.namespace')}`
      : ''
  return `${root}${inNamespace}/${resource.plural}`
}

/** The path to create an object at. @throws {InvalidInputError} when the kind needs a namespace and none is given */
export function createPath(resource: Resource, namespace: string | undefined): string {
  if (resource.namespaced && (namespace === undefined || namespace === '')) {
    const problem = `is missing, but ${resource.kind} lives in namespaces`
    throw new InvalidInputError('metadata.namespace', namespace, problem, 'name the namespace')
  }
  return collectionPath(resource, namespace)
}

/** The path of one object. @throws {InvalidInputError} when a name cannot stand in a path */
export function objectPath(
  resource: Resource,
  ref: { readonly name: string; readonly namespace?: string },
  subresource?: string,
): string {
  const path = `${createPath(resource, ref.namespace)}/${segment(ref.name, 'metadata.name')}`
  return subresource === undefined || subresource === '' ? path : `${path}/${subresource}`
}

/** `path` with the query parameters that are not undefined. */
export function withQuery(path: string, query: Query): string {
  const parameters = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== '') parameters.set(name, String(value))
  }
  const text = parameters.toString()
  return text === '' ? path : `${path}?${text}`
}

// A name comes from annotations and files: it must not become another path.
function segment(name: string, field: string): string {
  if (name === '' || name === '.' || name === '..' || name.length > 253 || /[/%\0]/.test(name)) {
    throw new InvalidInputError(
      field,
      name,
      'is not the name of an object',
      'write 1 to 253 characters, without / or %',
    )
  }
  return encodeURIComponent(name)
}
