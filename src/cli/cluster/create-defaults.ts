import { type KubeObject, type Resource, resources } from '../../api/index.ts'
import { Backoff, InvalidInputError, systemClock, systemRandom, toError } from '../../base/index.ts'
import { ApiError, apiVersionOf, type KubeApi } from '../../kube/index.ts'

/** Kinds that an installation may bring objects of. */
const creatable: readonly Resource[] = [
  resources.coordinator,
  resources.ipPool,
  resources.reservedIp,
  resources.multusConfig,
]
const maxObjects = 100
const retryBackoff = { firstMs: 200, capMs: 5_000 }

/**
 * Reads the list of objects of an installation.
 * @throws {InvalidInputError} naming the place and the remedy
 */
export function parseDefaults(value: unknown): readonly KubeObject[] {
  if (!Array.isArray(value) || value.length > maxObjects)
    throw new InvalidInputError(
      'file',
      value,
      'is no list of objects',
      `write a list of at most ${maxObjects}`,
    )
  return value.map((object: unknown, index) => {
    const field = `[${index}]`
    if (!isObject(object))
      throw new InvalidInputError(
        field,
        object,
        'is no object with a name',
        'write apiVersion, kind, metadata.name',
      )
    if (resourceOf(object) !== undefined) return object
    const kinds = creatable.map(({ kind }) => kind).join(', ')
    throw new InvalidInputError(`${field}.kind`, object.kind, 'is not created here', `write one of ${kinds}`)
  })
}

/**
 * Creates objects that are not there yet; what is there is left as it is. Waits for an API server, or a kind, that is
 * not there yet.
 * @param report gets a line for each object
 * @throws {ApiError} what the API server refuses for good, or the last complaint when `signal` aborts
 */
export async function createDefaults(
  objects: readonly KubeObject[],
  api: KubeApi,
  report: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  for (const object of objects) {
    const { name, namespace } = object.metadata
    const label = `${object.kind} ${namespace === undefined ? '' : `${namespace}/`}${name}`
    report(`${label}: ${(await create(object, api, signal)) ? 'created' : 'is there, left as it is'}`)
  }
}

async function create(object: KubeObject, api: KubeApi, signal: AbortSignal): Promise<boolean> {
  const backoff = new Backoff(retryBackoff, systemRandom)
  for (;;) {
    try {
      await api.create(resourceOf(object) ?? resources.ipPool, object, signal)
      return true
    } catch (error) {
      if (error instanceof ApiError && error.status === 409) return false
      if (signal.aborted || !mayPass(error)) throw error
      await systemClock.sleep(backoff.nextMs(), signal).catch(() => Promise.reject(toError(error)))
    }
  }
}

/** The API server is away, busy, or does not serve the kind yet; or our role has not reached it yet. */
function mayPass(error: unknown): boolean {
  if (!(error instanceof ApiError)) return false
  const { status, reason } = error
  return status === 0 || status === 404 || status === 429 || status >= 500 || reason === 'Forbidden'
}

function resourceOf({ apiVersion, kind }: KubeObject): Resource | undefined {
  return creatable.find((resource) => resource.kind === kind && apiVersionOf(resource) === apiVersion)
}

function isObject(value: unknown): value is KubeObject {
  if (typeof value !== 'object' || value === null || !('metadata' in value)) return false
  const { metadata } = value
  return (
    typeof metadata === 'object' &&
    metadata !== null &&
    'name' in metadata &&
    typeof metadata.name === 'string'
  )
}
