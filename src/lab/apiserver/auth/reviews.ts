import { stringifyJson } from '../../../base/index.ts'
import { isoSeconds, type ServerContext } from '../context.ts'
import type { ReviewResource } from '../discovery/review-resources.ts'
import { parseContent } from '../http/read-body.ts'
import type { ResourcePath } from '../http/request-path.ts'
import type { Kind } from '../kinds/kind.ts'
import { parseObject } from '../object.ts'
import { type Answer, type Call, jsonAnswer } from '../rest/call.ts'
import { findRecord } from '../rest/read.ts'
import { requiredField } from '../schema/failure.ts'
import { isObject, type JsonObject, listAt, objectAt, ownValue, stringAt } from '../schema/record.ts'
import { badRequest, invalidObject, notFound } from '../status.ts'
import { recordKey } from '../store/record.ts'
import { reviewToken } from './authenticate.ts'
import { userInfo } from './identity.ts'
import { type BoundRef, issuer } from './tokens.ts'

const created = 201

/** Answers reviews: who a token is, and that everybody who is known may do everything. */
export function answerReview(context: ServerContext, review: ReviewResource, call: Call): Answer {
  const apiVersion = `${review.group}/${review.version}`
  const object = parseObject(parseContent(call.body, call.contentType), { apiVersion, kind: review.kind })
  const status = statusOf(context, review, call, objectAt(object, 'spec') ?? {})
  return jsonAnswer(stringifyJson({ ...object, status }), created)
}

function statusOf(context: ServerContext, review: ReviewResource, call: Call, spec: JsonObject): JsonObject {
  switch (review.kind) {
    case 'TokenReview':
      return tokenStatus(context, spec)
    case 'SelfSubjectReview':
      return { userInfo: userInfo(call.identity) }
    case 'SelfSubjectRulesReview':
      return {
        resourceRules: [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }],
        nonResourceRules: [{ verbs: ['*'], nonResourceURLs: ['*'] }],
        incomplete: false,
      }
    default:
      return { allowed: true, reason: 'the lab allows every authenticated user everything' }
  }
}

function tokenStatus(context: ServerContext, spec: JsonObject): JsonObject {
  const token = stringAt(spec, 'token') ?? ''
  if (token === '') {
    throw invalidObject({ group: 'authentication.k8s.io', kind: 'TokenReview' }, [
      requiredField('spec.token', 'the token that is to be checked'),
    ])
  }
  const wanted = listAt(spec, 'audiences').map(String)
  const audiences = wanted.length === 0 ? [issuer] : wanted
  const { store, tokens } = context
  const review = reviewToken(token, { store, tokens, nowMs: context.clock.nowMs(), audiences })
  if (typeof review === 'string') return { user: {}, error: `invalid bearer token: ${review}` }
  return { authenticated: true, user: userInfo(review.identity), audiences: review.audiences }
}

const minSeconds = 600
const defaultSeconds = 3600
const maxSeconds = 2 ** 32

/** The `token` subresource of a ServiceAccount: TokenRequest of authentication.k8s.io/v1. */
export async function requestToken(
  context: ServerContext,
  kind: Kind,
  path: ResourcePath,
  call: Call,
): Promise<Answer> {
  const account = findRecord(context, kind, path)
  const expected = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest' }
  const object = parseObject(parseContent(call.body, call.contentType), expected)
  const spec = objectAt(object, 'spec') ?? {}
  const seconds = secondsOf(spec)
  const given = listAt(spec, 'audiences').map(String)
  const audiences = given.length === 0 ? [issuer] : given
  const subject = {
    namespace: path.namespace,
    account: { name: path.name, uid: account.object.metadata.uid ?? '' },
    bound: boundRefs(context, path.namespace, objectAt(spec, 'boundObjectRef')),
  }
  await context.store.durable(account.version)
  const nowMs = context.clock.nowMs()
  const token = context.tokens.issue(subject, audiences, nowMs, seconds)
  const answer = {
    ...object,
    metadata: {
      ...object.metadata,
      name: path.name,
      namespace: path.namespace,
      creationTimestamp: isoSeconds(nowMs),
    },
    spec: { ...spec, audiences, expirationSeconds: seconds },
    status: { token, expirationTimestamp: isoSeconds(nowMs + seconds * 1000) },
  }
  return jsonAnswer(stringifyJson(answer), created)
}

function secondsOf(spec: JsonObject): number {
  const value = ownValue(spec, 'expirationSeconds') ?? defaultSeconds
  if (typeof value === 'number' && Number.isInteger(value) && value >= minSeconds && value <= maxSeconds)
    return value
  throw invalidObject({ group: 'authentication.k8s.io', kind: 'TokenRequest' }, [
    {
      field: 'spec.expirationSeconds',
      reason: 'FieldValueInvalid',
      message: `Invalid value: ${stringifyJson(value)}: may not specify a duration less than 10 minutes`,
    },
  ])
}

const kinds = { Pod: 'pod', Node: 'node', Secret: 'secret' } as const

function boundRefs(
  context: ServerContext,
  namespace: string,
  ref: JsonObject | undefined,
): readonly BoundRef[] {
  if (ref === undefined) return []
  const named = stringAt(ref, 'kind') ?? ''
  if (named !== 'Pod' && named !== 'Node' && named !== 'Secret')
    throw badRequest(`cannot bind token for object of kind ${JSON.stringify(named)}: use Pod, Node or Secret`)
  const kind = kinds[named]
  const name = stringAt(ref, 'name') ?? ''
  const object = context.store.get(`/${kind}s`, recordKey(kind === 'node' ? '' : namespace, name))?.object
  if (object === undefined) throw notFound({ group: '', kind: `${kind}s`, name })
  const uid = object.metadata.uid ?? ''
  const wanted = stringAt(ref, 'uid') ?? uid
  if (wanted !== uid)
    throw badRequest(
      `the UID in the bound object reference (${wanted}) does not match the UID in record: ${uid}`,
    )
  const bound = { kind, name, uid }
  return kind === 'pod' ? [bound, ...nodeOf(context, object)] : [bound]
}

function nodeOf(context: ServerContext, pod: JsonObject): readonly BoundRef[] {
  const name = stringAt(objectAt(pod, 'spec'), 'nodeName') ?? ''
  const uid = context.store.get('/nodes', name)?.object.metadata.uid
  return isObject(pod) && uid !== undefined ? [{ kind: 'node', name, uid }] : []
}
