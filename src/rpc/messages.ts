import {
  type AddressConflict,
  type AllocateRequest,
  type AllocateResponse,
  type CheckRequest,
  crdLimits,
  type DnsSettings,
  type GrantedIp,
  type GrantedRoute,
  type NodeReport,
  type NodeReportAnswer,
  type ReleaseRequest,
  type RpcFailure,
} from '../api/index.ts'
import { InvalidInputError } from '../base/index.ts'
import { Fields, textRules } from './fields.ts'

const maxPoolNames = 256
const maxAskedIps = 32
const maxMasterAddresses = 256
const maxConflicts = 64
const maxCheckedIps = 256
const maxAlive = 10_000
const maxGrantedIps = 256
const maxGrantedRoutes = 4096
const maxBudgetMs = 600_000

/** Checks the body of an allocate call. @throws {InvalidInputError} */
export function parseAllocateRequest(body: unknown): AllocateRequest {
  const fields = new Fields(body)
  return {
    containerId: fields.text('containerId', textRules.containerId),
    ifName: fields.text('ifName', textRules.ifName),
    netns: fields.text('netns', textRules.netns),
    podNamespace: fields.text('podNamespace', textRules.namespace),
    podName: fields.text('podName', textRules.podName),
    podUid: fields.text('podUid', textRules.podUid),
    defaultIpv4Pools: fields.texts('defaultIpv4Pools', textRules.poolName, maxPoolNames),
    defaultIpv6Pools: fields.texts('defaultIpv6Pools', textRules.poolName, maxPoolNames),
    cleanGateway: fields.flag('cleanGateway'),
    budgetMs: fields.integer('budgetMs', 1, maxBudgetMs),
    ...(fields.has('startedMs')
      ? { startedMs: fields.integer('startedMs', 0, Number.MAX_SAFE_INTEGER) }
      : {}),
    ...(fields.has('ips') ? { ips: fields.texts('ips', textRules.ipWithPrefix, maxAskedIps) } : {}),
    ...(fields.has('masterAddresses')
      ? { masterAddresses: fields.texts('masterAddresses', textRules.ipWithPrefix, maxMasterAddresses) }
      : {}),
    ...(fields.has('masterProblem')
      ? { masterProblem: fields.text('masterProblem', textRules.sentence) }
      : {}),
    ...(fields.has('conflicts')
      ? { conflicts: fields.objects('conflicts', maxConflicts).map(parseConflict) }
      : {}),
  }
}

function parseConflict(fields: Fields): AddressConflict {
  const mac = fields.optionalText('mac', textRules.mac)
  return { ip: fields.text('ip', textRules.ip), ...(mac === undefined ? {} : { mac }) }
}

/** Checks the body of a release call. @throws {InvalidInputError} */
export function parseReleaseRequest(body: unknown): ReleaseRequest {
  const fields = new Fields(body)
  return {
    containerId: fields.text('containerId', textRules.containerId),
    ifName: fields.text('ifName', textRules.ifName),
    reason: fields.text('reason', textRules.reason) === 'undo' ? 'undo' : 'detach',
    ...releasedPod(fields),
  }
}

function releasedPod(fields: Fields): Pick<ReleaseRequest, 'pod'> {
  const pod = fields.optionalObject('pod')
  if (pod === undefined) return {}
  const namespace = pod.text('namespace', textRules.namespace)
  const name = pod.text('name', textRules.podName)
  return { pod: { namespace, name, uid: pod.text('uid', textRules.podUid) } }
}

/** Checks the body of a check call. @throws {InvalidInputError} */
export function parseCheckRequest(body: unknown): CheckRequest {
  const fields = new Fields(body)
  return {
    containerId: fields.text('containerId', textRules.containerId),
    ifName: fields.text('ifName', textRules.ifName),
    ips: fields.texts('ips', textRules.ip, maxCheckedIps),
  }
}

/** Checks the body of a node report. @throws {InvalidInputError} */
export function parseNodeReport(body: unknown): NodeReport {
  const fields = new Fields(body)
  return {
    takenAtMs: fields.integer('takenAtMs', 0, Number.MAX_SAFE_INTEGER),
    answeredMs: fields.integer('answeredMs', 0, Number.MAX_SAFE_INTEGER),
    alive: fields.objects('alive', maxAlive).map((attachment) => ({
      containerId: attachment.text('containerId', textRules.containerId),
      ifName: attachment.text('ifName', textRules.ifName),
    })),
  }
}

/** Checks the answer to a node report; a controller of an earlier version says nothing. @throws {InvalidInputError} */
export function parseNodeReportAnswer(body: unknown): NodeReportAnswer {
  return { isAwaited: new Fields(body).optionalFlag('isAwaited') ?? false }
}

/** Checks what the controller granted. @throws {InvalidInputError} */
export function parseAllocateResponse(body: unknown): AllocateResponse {
  const fields = new Fields(body)
  return {
    ips: fields.objects('ips', maxGrantedIps).map(parseGrantedIp),
    routes: fields.objects('routes', maxGrantedRoutes).map(parseGrantedRoute),
    ...parseDns(fields.optionalObject('dns')),
  }
}

function parseDns(fields: Fields | undefined): { readonly dns?: DnsSettings } {
  if (fields === undefined) return {}
  const domain = fields.optionalText('domain', textRules.dnsText)
  const list = (name: 'nameservers' | 'search' | 'options'): DnsSettings =>
    fields.has(name) ? { [name]: fields.texts(name, textRules.dnsText, crdLimits.dnsItems) } : {}
  return {
    dns: {
      ...list('nameservers'),
      ...(domain === undefined ? {} : { domain }),
      ...list('search'),
      ...list('options'),
    },
  }
}

/** Checks the body of a refusal; undefined when it is none. */
export function parseFailure(body: unknown): RpcFailure | undefined {
  try {
    const fields = new Fields(body)
    return {
      code: fields.integer('code', 1, 9999),
      msg: fields.text('msg', { ...textRules.any, fits: () => true }),
      details: fields.text('details', { ...textRules.any, fits: () => true }),
      ...(fields.has('isWaiting') && fields.flag('isWaiting') ? { isWaiting: true } : {}),
    }
  } catch (error) {
    if (error instanceof InvalidInputError) return undefined
    throw error
  }
}

function parseGrantedIp(fields: Fields): GrantedIp {
  const gateway = fields.optionalText('gateway', textRules.ip)
  const mac = fields.optionalText('mac', textRules.any)
  return {
    version: fields.integer('version', 4, 6) === 4 ? 4 : 6,
    address: fields.text('address', textRules.any),
    nic: fields.text('nic', textRules.ifName),
    pool: fields.text('pool', textRules.any),
    vlan: fields.integer('vlan', 0, 4094),
    ...(gateway === undefined ? {} : { gateway }),
    ...(mac === undefined ? {} : { mac }),
    ...(fields.has('metadata')
      ? { metadata: fields.textMap('metadata', textRules.any, crdLimits.metadataItems) }
      : {}),
    ...(fields.has('isProbeOff') ? { isProbeOff: fields.flag('isProbeOff') } : {}),
  }
}

function parseGrantedRoute(fields: Fields): GrantedRoute {
  return {
    dst: fields.text('dst', textRules.any),
    gw: fields.text('gw', textRules.any),
    ifName: fields.text('ifName', textRules.ifName),
  }
}
