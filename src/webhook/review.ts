import { isDeepStrictEqual } from 'node:util'
import { cidrContains, parseCidr, parseIp } from '../address/index.ts'
import {
  type KubeObject,
  type SpiderCoordinator,
  type SpiderIpClaim,
  type SpiderIpPool,
  type SpiderMultusConfig,
  type SpiderReservedIp,
  type SpiderSubnet,
  shapeErrors,
  spiderFinalizer,
} from '../api/index.ts'
import {
  type AdmissionRequest,
  type AdmissionReview,
  readRequest,
  recordOf,
  uidOf,
} from './admission-review.ts'
import { answerOf, badRequest, type Verdict } from './answer.ts'
import { diffJson } from './json-patch.ts'
import { multusWarnings, renameWarnings } from './multus/later-release.ts'
import { mutateMultusConfig } from './multus/mutate-multus.ts'
import { attachmentNameOf, multusProblems } from './multus/validate-multus.ts'
import { injectIntoPod } from './pods/inject-pod.ts'
import { addressWarnings } from './pool/address-warnings.ts'
import { mutatePool, mutateReservedIp, mutateSubnet, networkWarnings } from './pool/mutate-network.ts'
import { poolProblemsOnCreate, poolProblemsOnUpdate } from './pool/validate-pool.ts'
import { reservationWarnings, reservedIpProblems } from './pool/validate-reserved-ip.ts'
import { subnetProblemsOnCreate, subnetProblemsOnUpdate } from './pool/validate-subnet.ts'
import { attempt, isProblem, type Problem, required } from './problem.ts'
import { ipClaimProblems, mutateIpClaim } from './rules/claim-rules.ts'
import { coordinatorProblems, mutateCoordinator } from './rules/coordinator-rules.ts'
import type { UsedIp, WebhookSettings, WebhookWorld, WorldNeeds } from './world.ts'

/** Which of the two webhooks was called. */
export type ReviewMode = 'mutate' | 'validate'

type OurObject =
  | { readonly kind: 'SpiderIPPool'; readonly object: SpiderIpPool; readonly old?: SpiderIpPool }
  | { readonly kind: 'SpiderSubnet'; readonly object: SpiderSubnet; readonly old?: SpiderSubnet }
  | { readonly kind: 'SpiderReservedIP'; readonly object: SpiderReservedIp; readonly old?: SpiderReservedIp }
  | {
      readonly kind: 'SpiderCoordinator'
      readonly object: SpiderCoordinator
      readonly old?: SpiderCoordinator
    }
  | { readonly kind: 'SpiderIPClaim'; readonly object: SpiderIpClaim; readonly old?: SpiderIpClaim }
  | {
      readonly kind: 'SpiderMultusConfig'
      readonly object: SpiderMultusConfig
      readonly old?: SpiderMultusConfig
    }

const ourKinds: readonly string[] = [
  'SpiderIPPool',
  'SpiderSubnet',
  'SpiderReservedIP',
  'SpiderCoordinator',
  'SpiderIPClaim',
  'SpiderMultusConfig',
]
const podKind = 'Pod'
const noNeeds: WorldNeeds = { pools: false, subnets: false }

/**
 * What {@link review} will look at besides the object itself: read it, uncached, and hand it over.
 * @param body the parsed JSON of the AdmissionReview; nothing is needed for one that is refused anyway
 */
export function needsOf(mode: ReviewMode, body: unknown, settings: WebhookSettings): WorldNeeds {
  const request = readRequest(body)
  if (typeof request === 'string') return noNeeds
  const { kind, operation, name, namespace } = request
  if (kind === podKind) {
    const isWanted = mode === 'mutate' && settings.podInject !== undefined && operation === 'CREATE'
    return isWanted ? { ...noNeeds, injectionInto: { namespace, pod: recordOf(request.object) } } : noNeeds
  }
  const isPool = kind === 'SpiderIPPool'
  if (operation === 'DELETE') {
    const isGuarded = settings.guardDeletion && (isPool || kind === 'SpiderSubnet')
    return isGuarded ? { ...noNeeds, usedIpsOf: isPool ? name : { all: true } } : noNeeds
  }
  const subnets = isPool && settings.enableSpiderSubnet
  if (mode === 'mutate') return { ...noNeeds, subnets }
  if (isPool) return { pools: true, subnets, ...(operation === 'UPDATE' ? { usedIpsOf: name } : {}) }
  if (kind === 'SpiderSubnet') return { pools: operation === 'CREATE', subnets: operation === 'CREATE' }
  if (kind === 'SpiderReservedIP') return { ...noNeeds, usedIpsOf: { all: true } }
  if (kind !== 'SpiderMultusConfig' || shapeErrors(kind, request.object).length > 0) return noNeeds
  const attachmentName = attachmentNameOf(request.object as SpiderMultusConfig)
  return { ...noNeeds, attachment: { namespace, name: attachmentName || name } }
}

/**
 * Answers one AdmissionReview: fills in what is missing (`mutate`), or says what is wrong (`validate`). Any body gets
 * an answer; a mutation never refuses an object of ours.
 * @param body the parsed JSON of the request
 * @param world what {@link needsOf} asked for
 */
export function review(mode: ReviewMode, body: unknown, world: WebhookWorld): AdmissionReview {
  const request = readRequest(body)
  if (typeof request === 'string') return badRequest(uidOf(body), `${request}: send an AdmissionReview`)
  if (request.kind === podKind) return answerOf(request, podVerdict(mode, request, world))
  if (!ourKinds.includes(request.kind)) {
    return badRequest(
      request.uid,
      `kind "${request.kind}" has no rules here: send one of ${ourKinds.join(', ')}`,
    )
  }
  if (request.operation === 'DELETE') return answerOf(request, deletionVerdict(request, world))
  const parsed = parseObjects(request)
  if ('problems' in parsed) {
    const isBad = typeof request.object !== 'object' || request.object === null
    if (isBad) return badRequest(request.uid, 'request.object is no object: send the object to review')
    const { problems } = parsed
    return answerOf(request, mode === 'mutate' ? { kind: 'allow' } : { kind: 'invalid', problems })
  }
  const verdict =
    mode === 'mutate' ? mutationVerdict(parsed, world) : validationVerdict(request, parsed, world)
  return answerOf(request, verdict)
}

function podVerdict(mode: ReviewMode, request: AdmissionRequest, world: WebhookWorld): Verdict {
  const { podInject } = world.settings
  if (mode === 'validate' || podInject === undefined || world.injection === undefined)
    return { kind: 'allow' }
  const { namespace, object } = request
  return injectIntoPod({ namespace, object: recordOf(object) }, world.injection, podInject)
}

function parseObjects(request: AdmissionRequest): OurObject | { readonly problems: readonly Problem[] } {
  const { kind, object, oldObject } = request
  const errors = shapeErrors(kind, object)
  const problems = errors.map((error): Problem => ({ type: 'FieldValueInvalid', error }))
  if (!hasSpec(object) && problems.length === 0)
    problems.push(required('spec', undefined, 'is missing', `write the spec of the ${kind}`))
  if (problems.length > 0) return { problems }
  // An old object that the schema of today would refuse is not compared with.
  const isOldSound = oldObject !== null && shapeErrors(kind, oldObject).length === 0 && hasSpec(oldObject)
  return { kind, object, ...(isOldSound ? { old: oldObject } : {}) } as OurObject
}

function hasSpec(object: unknown): boolean {
  return recordOf(object)['spec'] !== undefined
}

function mutationVerdict(subject: OurObject, world: WebhookWorld): Verdict {
  const patch = diffJson(subject.object, mutated(subject, world))
  return { kind: 'patch', patch, warnings: warningsFor(subject) }
}

function warningsFor(subject: OurObject): readonly string[] {
  switch (subject.kind) {
    case 'SpiderIPPool':
    case 'SpiderSubnet':
      return networkWarnings(subject.object)
    case 'SpiderMultusConfig':
      return [
        ...(subject.old === undefined ? [] : renameWarnings(subject.object, subject.old)),
        ...multusWarnings(subject.object),
      ]
    default:
      return []
  }
}

function mutated(subject: OurObject, world: WebhookWorld): KubeObject {
  switch (subject.kind) {
    case 'SpiderIPPool':
      return mutatePool(subject.object, world)
    case 'SpiderSubnet':
      return mutateSubnet(subject.object)
    case 'SpiderReservedIP':
      return mutateReservedIp(subject.object)
    case 'SpiderCoordinator':
      return mutateCoordinator(subject.object)
    case 'SpiderIPClaim':
      return mutateIpClaim(subject.object)
    case 'SpiderMultusConfig':
      return mutateMultusConfig(subject.object, subject.old)
  }
}

function validationVerdict(request: AdmissionRequest, subject: OurObject, world: WebhookWorld): Verdict {
  const terminating = terminatingVerdict(subject)
  if (terminating !== undefined) return terminating
  if (request.operation === 'CREATE' && isNameTaken(subject, world)) {
    return {
      kind: 'exists',
      message: `${subject.kind} "${request.name}" already exists: choose another name`,
    }
  }
  const problems = problemsOf(subject, world)
  if (problems.length > 0) return { kind: 'invalid', problems }
  return { kind: 'allow', warnings: allowedWarnings(subject, world) }
}

function allowedWarnings(subject: OurObject, world: WebhookWorld): readonly string[] {
  if (subject.kind === 'SpiderReservedIP') return reservationWarnings(subject.object, world.usedIps)
  return subject.kind === 'SpiderIPPool' ? addressWarnings(subject.object) : []
}

function problemsOf(subject: OurObject, world: WebhookWorld): readonly Problem[] {
  switch (subject.kind) {
    case 'SpiderIPPool':
      return subject.old === undefined
        ? poolProblemsOnCreate(subject.object, world)
        : poolProblemsOnUpdate(subject.object, subject.old, world)
    case 'SpiderSubnet':
      return subject.old === undefined
        ? subnetProblemsOnCreate(subject.object, world)
        : subnetProblemsOnUpdate(subject.object, subject.old, world)
    case 'SpiderReservedIP':
      return reservedIpProblems(subject.object, subject.old, world)
    case 'SpiderCoordinator':
      return coordinatorProblems(subject.object.spec, 'spec', true)
    case 'SpiderIPClaim':
      return ipClaimProblems(subject.object, subject.old, world.settings)
    case 'SpiderMultusConfig':
      return multusProblems(subject.object, subject.old, world.attachment)
  }
}

function isNameTaken(subject: OurObject, world: WebhookWorld): boolean {
  const { name } = subject.object.metadata
  const stored = subject.kind === 'SpiderIPPool' ? world.pools : world.subnets
  const isCompared = subject.kind === 'SpiderIPPool' || subject.kind === 'SpiderSubnet'
  return isCompared && stored.some(({ metadata }) => metadata.name === name)
}

/**
 * A terminating object keeps its spec until its finalizer is gone; its metadata may change, so that every party can
 * take its own finalizer away.
 */
function terminatingVerdict({ kind, object, old }: OurObject): Verdict | undefined {
  if (kind === 'SpiderCoordinator' || kind === 'SpiderMultusConfig') return undefined
  const since = old?.metadata.deletionTimestamp ?? object.metadata.deletionTimestamp
  if (old === undefined || since === undefined) return undefined
  const isReleased =
    kind !== 'SpiderReservedIP' && object.metadata.finalizers?.includes(spiderFinalizer) !== true
  if (isReleased || isDeepStrictEqual(object.spec, old.spec)) return { kind: 'allow' }
  const { name } = object.metadata
  const message = `${kind} "${name}" is being deleted since ${since}: its spec cannot change; create it again when it is gone`
  return { kind: 'forbidden', message }
}

/** P-24, S-13: what pods use counts, not what pools hold. */
function deletionVerdict({ kind, name, oldObject }: AdmissionRequest, world: WebhookWorld): Verdict {
  if (!world.settings.guardDeletion || (kind !== 'SpiderIPPool' && kind !== 'SpiderSubnet')) {
    return { kind: 'allow' }
  }
  const used = kind === 'SpiderIPPool' ? world.usedIps : usedIn(oldObject, world.usedIps)
  const [first] = used
  if (first === undefined) return { kind: 'allow' }
  const count = used.length === 1 ? '1 address is' : `${used.length} addresses are`
  const message = `cannot delete ${kind} "${name}": ${count} in use, ${first.ip} by ${first.holder} among them; delete those pods and claims first`
  return { kind: 'forbidden', message }
}

function usedIn(subnet: unknown, usedIps: readonly UsedIp[]): readonly UsedIp[] {
  const cidr = attempt(() => parseCidr(String(recordOf(recordOf(subnet)['spec'])['subnet'])))
  return isProblem(cidr) ? [] : usedIps.filter(({ ip }) => cidrContains(cidr, parseIp(ip)))
}
