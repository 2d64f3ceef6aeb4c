import type { KubeObject, Resource } from '../api/index.ts'
import { type Logger, type Random, silentLogger, stringifyJson, systemRandom } from '../base/index.ts'
import type { KubeAccess } from './access/access.ts'
import { ApiError } from './api-error.ts'
import type {
  KubeApi,
  KubeList,
  ListAllOptions,
  ListOptions,
  ObjectRef,
  Patch,
  PatchType,
  WatchEvent,
  WatchOptions,
} from './kube-api.ts'
import { listByPages } from './list-pages.ts'
import {
  backgroundCalls,
  Caller,
  type CallTimeouts,
  defaultTimeouts,
  foregroundCalls,
} from './wire/caller.ts'
import { Connector } from './wire/connector.ts'
import { collectionPath, createPath, objectPath, withQuery } from './wire/paths.ts'
import { parseList, parseObject, problemOf } from './wire/replies.ts'
import { type StreamReply, TransportFailure } from './wire/transport.ts'
import { readEvents } from './wire/watch-stream.ts'

export interface KubeClientOptions {
  /** `spiderpool-agent/1.2.3`: the API server's logs and priority levels know callers by it. */
  readonly userAgent?: string
  readonly logger?: Logger
  readonly random?: Random
  readonly timeouts?: Partial<CallTimeouts>
}

const defaultUserAgent = 'spiderpool/0.1'
const patchContentTypes: Readonly<Record<PatchType, string>> = {
  merge: 'application/merge-patch+json',
  json: 'application/json-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  apply: 'application/apply-patch+yaml',
}

class ApiCalls implements KubeApi {
  readonly #caller: Caller

  constructor(caller: Caller) {
    this.#caller = caller
  }

  async get<T extends KubeObject>(
    resource: Resource,
    ref: ObjectRef,
    signal: AbortSignal,
  ): Promise<T | undefined> {
    const action = `read ${describe(resource, ref)}`
    try {
      const path = objectPath(resource, ref)
      return parseObject<T>(await this.#caller.call({ action, method: 'GET', path }, signal), action)
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return undefined
      throw error
    }
  }

  async list<T extends KubeObject>(
    resource: Resource,
    options: ListOptions,
    signal: AbortSignal,
  ): Promise<KubeList<T>> {
    const action = `list ${resource.plural}`
    const { continueToken, namespace, limit, labelSelector, fieldSelector, resourceVersion } = options
    const path = withQuery(collectionPath(resource, namespace), {
      labelSelector,
      fieldSelector,
      limit,
      continue: continueToken,
      // The token holds the version; the server refuses both together.
      resourceVersion: continueToken === undefined ? resourceVersion : undefined,
    })
    const value = await this.#caller.call({ action, method: 'GET', path }, signal)
    return parseList<T>(value, resource, action)
  }

  async listAll<T extends KubeObject>(
    resource: Resource,
    options: ListAllOptions<T>,
    signal: AbortSignal,
  ): Promise<KubeList<T>> {
    return listByPages<T>(this, resource, options, signal)
  }

  async create<T extends KubeObject>(resource: Resource, object: T, signal: AbortSignal): Promise<T> {
    const { name, namespace } = object.metadata
    const shown = name ?? object.metadata.generateName
    const action = `create ${describe(resource, { name: shown, ...(namespace === undefined ? {} : { namespace }) })}`
    const path = createPath(resource, namespace)
    const body = stringifyJson(object)
    return parseObject<T>(await this.#caller.call({ action, method: 'POST', path, body }, signal), action)
  }

  async replace<T extends KubeObject>(resource: Resource, object: T, signal: AbortSignal): Promise<T> {
    const action = `replace ${describe(resource, object.metadata)}`
    const path = objectPath(resource, object.metadata)
    const body = stringifyJson(object)
    return parseObject<T>(await this.#caller.call({ action, method: 'PUT', path, body }, signal), action)
  }

  async patch<T extends KubeObject>(
    resource: Resource,
    ref: ObjectRef,
    patch: Patch,
    signal: AbortSignal,
  ): Promise<T> {
    const action = `patch ${describe(resource, ref)}`
    const path = withQuery(objectPath(resource, ref, patch.subresource), {
      fieldManager: patch.fieldManager ?? (patch.type === 'apply' ? 'spiderpool' : undefined),
      force: patch.type === 'apply' ? true : undefined,
    })
    const contentType = patchContentTypes[patch.type]
    const body = stringifyJson(patch.body)
    const call = { action, method: 'PATCH', path, contentType, body, ...wanting(patch.metadataOnly) }
    const value = await this.#caller.call(call, signal)
    return parseObject<T>(value, action)
  }

  async delete(
    resource: Resource,
    ref: ObjectRef,
    options: {
      readonly uid?: string
      readonly resourceVersion?: string
      readonly gracePeriodSeconds?: number
      readonly propagation?: 'Background' | 'Foreground' | 'Orphan'
    },
    signal: AbortSignal,
  ): Promise<void> {
    const { uid, resourceVersion, gracePeriodSeconds, propagation } = options
    const preconditions = {
      ...(uid === undefined ? {} : { uid }),
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
    }
    const body = stringifyJson({
      apiVersion: 'v1',
      kind: 'DeleteOptions',
      ...(Object.keys(preconditions).length === 0 ? {} : { preconditions }),
      ...(gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds }),
      ...(propagation === undefined ? {} : { propagationPolicy: propagation }),
    })
    const action = `delete ${describe(resource, ref)}`
    try {
      await this.#caller.call({ action, method: 'DELETE', path: objectPath(resource, ref), body }, signal)
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 404) throw error
    }
  }

  async *watch<T extends KubeObject>(
    resource: Resource,
    options: WatchOptions,
    signal: AbortSignal,
  ): AsyncGenerator<WatchEvent<T>> {
    const action = `watch ${resource.plural}`
    const { namespace, labelSelector, fieldSelector, resourceVersion, timeoutSeconds } = options
    const path = withQuery(collectionPath(resource, namespace), {
      watch: true,
      allowWatchBookmarks: true,
      labelSelector,
      fieldSelector,
      resourceVersion,
      timeoutSeconds,
    })
    const call = { action, method: 'GET', path, ...wanting(options.metadataOnly) }
    const reply = await this.#caller.open(call, signal)
    yield* typedEvents<T>(reply, action)
  }

  async request<T>(method: string, path: string, body: unknown, signal: AbortSignal): Promise<T> {
    const action = `${method} ${path}`
    const text = body === undefined ? {} : { body: stringifyJson(body) }
    return (await this.#caller.call({ action, method, path, ...text }, signal)) as T
  }
}

/** A client for one API server. It holds connections: close it. */
export class KubeClient extends ApiCalls {
  readonly #connector: Connector
  readonly #makeCaller: (callsAtOnce: number) => Caller

  /** @param access from `loadKubeconfig`, `inClusterConfig` or `staticAccess` */
  constructor(access: KubeAccess, options: KubeClientOptions = {}) {
    const { userAgent = defaultUserAgent, logger = silentLogger, random = systemRandom } = options
    const connector = new Connector(access, userAgent, logger)
    const timeouts = { ...defaultTimeouts, ...options.timeouts }
    const makeCaller = (callsAtOnce: number) => new Caller(connector, random, timeouts, callsAtOnce)
    super(makeCaller(foregroundCalls))
    this.#connector = connector
    this.#makeCaller = makeCaller
  }

  /** The same server through a narrow share of the connections: work behind it cannot hold up what is in front. */
  background(callsAtOnce: number = backgroundCalls): KubeApi {
    return new ApiCalls(this.#makeCaller(callsAtOnce))
  }

  /** Lets calls under way finish for 5 s, then ends all. */
  close(): Promise<void> {
    return this.#connector.close()
  }
}

// Kubernetes API concepts, "Metadata-only fetches". A server that cannot give them gives the whole object, instead of status 406.
const metadataType = 'application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1, application/json'

function wanting(metadataOnly = false): { readonly accept?: string } {
  return metadataOnly ? { accept: metadataType } : {}
}

async function* typedEvents<T extends KubeObject>(
  reply: StreamReply,
  action: string,
): AsyncGenerator<WatchEvent<T>> {
  try {
    for await (const { type, object } of readEvents(reply.chunks)) {
      const problem = type === 'BOOKMARK' ? undefined : problemOf(object)
      if (problem !== undefined) {
        throw new TransportFailure({
          status: 0,
          reason: 'BadReply',
          message: `an event is no object: ${problem}`,
        })
      }
      yield { type, object: object as unknown as T }
    }
  } catch (error) {
    throw error instanceof TransportFailure ? new ApiError(action, error.failure) : error
  }
}

function describe(
  resource: Resource,
  ref: { readonly name?: string | undefined; readonly namespace?: string },
): string {
  const name = ref.namespace === undefined ? ref.name : `${ref.namespace}/${ref.name}`
  return `${resource.kind} "${name ?? ''}"`
}
