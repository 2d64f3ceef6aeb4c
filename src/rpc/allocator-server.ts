import {
  type AllocateRequest,
  type AllocateResponse,
  allocatorPaths,
  type CheckRequest,
  type NodeReport,
  type NodeReportAnswer,
  type ReleaseRequest,
  type RpcFailure,
} from '../api/index.ts'
import {
  deadlineAfter,
  InvalidInputError,
  type Logger,
  OperationError,
  parseJson,
  stringifyJson,
  toError,
} from '../base/index.ts'
import { AllocatorError, leaderHeader, NotLeaderError, tryAgainCode } from './allocator-error.ts'
import {
  type GuardedRoute,
  type Route,
  type RouteHead,
  type RouteReply,
  type RouteRequest,
  type RunningServer,
  type ServerOptions,
  serveHttps,
} from './https-server.ts'
import { parseAllocateRequest, parseCheckRequest, parseNodeReport, parseReleaseRequest } from './messages.ts'
import { CallerRefusedError, type RefusalReason } from './refusal.ts'

/** What answers the agents' calls. A replica that does not lead throws `NotLeaderError`. */
export interface AllocatorHandlers<Caller> {
  allocate(caller: Caller, request: AllocateRequest, signal: AbortSignal): Promise<AllocateResponse>
  release(caller: Caller, request: ReleaseRequest, signal: AbortSignal): Promise<void>
  check(caller: Caller, request: CheckRequest, signal: AbortSignal): Promise<void>
  nodeReport(caller: Caller, report: NodeReport, signal: AbortSignal): Promise<NodeReportAnswer>
}

export type Authenticate<Caller> = (
  token: string,
  remoteAddress: string,
  signal: AbortSignal,
) => Promise<Caller>

export interface AllocatorServerOptions<Caller> extends Omit<ServerOptions, 'routes'> {
  /** Finds who calls, from the token and the address. A `CallerRefusedError` tells its status; any other error is 503, try again. */
  readonly authenticate: Authenticate<Caller>
  readonly handlers: AllocatorHandlers<Caller>
  /** Throws `NotLeaderError` while this replica does not lead: then nobody waits for the API server to know the caller. */
  readonly requireServing?: () => void
  /** Webhooks, health and metrics on the same port; not authenticated here. */
  readonly routes?: readonly Route[]
  /** Words a handler's error for the wire; undefined leaves it to the rules of this room. */
  readonly toFailure?: (error: Error) => RpcFailure | undefined
}

const maxBodyBytes = 1024 * 1024
const allocateDeadlineMs = 110_000
const otherDeadlineMs = 30_000
const internalCode = 999

/** Serves the allocator's API, and further routes, over HTTPS. @throws {ListenError} when the address cannot be had */
export async function serveAllocator<Caller>(
  options: AllocatorServerOptions<Caller>,
  logger: Logger,
): Promise<RunningServer> {
  const { authenticate, handlers, requireServing, routes = [], toFailure, ...server } = options
  const { onRefused = () => undefined } = options
  const serving = {
    authenticate,
    requireServing: requireServing ?? (() => undefined),
    toFailure: toFailure ?? (() => undefined),
    onRefused,
    logger,
  }
  const own = [
    rpcRoute(serving, {
      path: allocatorPaths.allocate,
      deadlineMs: allocateDeadlineMs,
      parse: parseAllocateRequest,
      handle: async (caller, request, signal) => {
        using budget = deadlineAfter(request.budgetMs, signal)
        return await handlers.allocate(caller, request, budget.signal)
      },
    }),
    rpcRoute(serving, {
      path: allocatorPaths.release,
      deadlineMs: otherDeadlineMs,
      parse: parseReleaseRequest,
      handle: (caller, request, signal) => handlers.release(caller, request, signal),
    }),
    rpcRoute(serving, {
      path: allocatorPaths.check,
      deadlineMs: otherDeadlineMs,
      parse: parseCheckRequest,
      handle: (caller, request, signal) => handlers.check(caller, request, signal),
    }),
    rpcRoute(serving, {
      path: allocatorPaths.nodeReport,
      deadlineMs: otherDeadlineMs,
      parse: parseNodeReport,
      handle: (caller, report, signal) => handlers.nodeReport(caller, report, signal),
    }),
  ]
  return serveHttps({ ...server, routes: [...own, ...routes] }, logger)
}

interface Serving<Caller> {
  readonly authenticate: Authenticate<Caller>
  readonly requireServing: () => void
  readonly onRefused: (reason: RefusalReason) => void
  readonly toFailure: (error: Error) => RpcFailure | undefined
  readonly logger: Logger
}

interface RpcMethod<Caller, Request> {
  readonly path: string
  readonly deadlineMs: number
  readonly parse: (body: unknown) => Request
  readonly handle: (caller: Caller, request: Request, signal: AbortSignal) => Promise<unknown>
}

function rpcRoute<Caller, Request>(
  serving: Serving<Caller>,
  method: RpcMethod<Caller, Request>,
): GuardedRoute {
  const { path, deadlineMs } = method
  const answer = async (caller: Caller, request: RouteRequest, signal: AbortSignal): Promise<RouteReply> => {
    try {
      const input = method.parse(parseBody(request.body))
      const result = await method.handle(caller, input, signal)
      return { status: 200, body: stringifyJson(result ?? {}) }
    } catch (thrown) {
      return refusal(serving, toError(thrown), path)
    }
  }
  return {
    method: 'POST',
    path,
    maxBodyBytes,
    deadlineMs,
    admit: async (head, signal) => {
      const found = await callerOf(serving, head, signal)
      if ('status' in found) return found
      return (request, inner) => answer(found.caller, request, inner)
    },
  }
}

async function callerOf<Caller>(
  serving: Serving<Caller>,
  head: RouteHead,
  signal: AbortSignal,
): Promise<{ readonly caller: Caller } | RouteReply> {
  try {
    const token = /^Bearer +([\x21-\x7e]{1,8192})$/i.exec(head.headers.authorization ?? '')?.[1]
    if (token === undefined) {
      const hint = 'send Authorization: Bearer with the token of the ServiceAccount of the agent'
      throw new CallerRefusedError('no-token', 'Cannot accept the caller: no token', hint)
    }
    serving.requireServing()
    return { caller: await serving.authenticate(token, head.remoteAddress, signal) }
  } catch (thrown) {
    if (thrown instanceof NotLeaderError) return refusal(serving, thrown, head.path)
    return unknownCaller(serving, toError(thrown), head.path)
  }
}

function unknownCaller(
  { logger, onRefused }: Pick<Serving<unknown>, 'logger' | 'onRefused'>,
  error: Error,
  path: string,
): RouteReply {
  const hint = error instanceof OperationError ? error.hint : 'look at the log of the controller'
  if (!(error instanceof CallerRefusedError)) {
    logger.warn('caller not authenticated', { path, err: error.message })
    return reply(503, { code: tryAgainCode, msg: error.message, details: `try-again: ${hint}` })
  }
  const { reason, status, message: msg } = error
  onRefused(reason)
  // Strangers come as often as they like: a person who looks for one agent asks for this level.
  logger.debug('caller refused', { path, reason, err: msg })
  const slug = status === 503 ? 'try-again' : 'unauthenticated'
  return reply(status, { code: tryAgainCode, msg, details: `${slug}: ${hint}` })
}

function parseBody(bytes: Buffer): unknown {
  const hint = 'send one JSON object in UTF-8'
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw new InvalidInputError('body', `${bytes.byteLength} bytes`, 'is not UTF-8', hint)
  }
  try {
    return parseJson(text)
  } catch {
    throw new InvalidInputError('body', text, 'is not JSON', hint)
  }
}

const environmentFields = new Set(['containerId', 'ifName', 'netns', 'podNamespace', 'podName', 'podUid'])

function refusal(
  serving: Pick<Serving<unknown>, 'toFailure' | 'onRefused' | 'logger'>,
  error: Error,
  path: string,
): RouteReply {
  if (error instanceof NotLeaderError) {
    const failure = { code: tryAgainCode, msg: error.message, details: `not-leader: ${error.hint}` }
    const headers = error.leaderUrl === undefined ? {} : { [leaderHeader]: error.leaderUrl }
    return { ...reply(503, failure), headers }
  }
  const failure = serving.toFailure(error) ?? failureOf(error)
  if (error instanceof CallerRefusedError) {
    serving.onRefused(error.reason)
    serving.logger.warn('call refused', { path, reason: error.reason, err: error.message })
    return reply(error.status, failure)
  }
  if (failure.code === internalCode) serving.logger.error('a call failed', { path, err: error })
  return reply(statusOf(failure.code), failure)
}

function failureOf(error: Error): RpcFailure {
  const msg = error.message
  if (error instanceof AllocatorError) return { code: error.cniCode, msg, details: error.details }
  if (error instanceof InvalidInputError) {
    const isEnvironment = environmentFields.has(error.field)
    const slug = isEnvironment ? 'environment' : 'network-config'
    return { code: isEnvironment ? 4 : 7, msg, details: `${slug}: ${error.hint}` }
  }
  if (error.name === 'TimeoutError' || error.name === 'AbortError') {
    return { code: tryAgainCode, msg: `Cannot finish in time: ${msg}`, details: 'deadline: try again later' }
  }
  if (!(error instanceof OperationError)) {
    return { code: internalCode, msg, details: 'internal: look at the log of the controller' }
  }
  const isPassing = error.retry === 'now' || error.retry === 'later'
  return isPassing
    ? { code: tryAgainCode, msg, details: `try-again: ${error.hint}` }
    : { code: internalCode, msg, details: `internal: ${error.hint}` }
}

function statusOf(code: number): number {
  if (code === tryAgainCode) return 503
  if (code >= 4 && code <= 8) return 400
  return code === internalCode ? 500 : 422
}

function reply(status: number, failure: RpcFailure): RouteReply {
  return { status, body: JSON.stringify(failure) }
}
