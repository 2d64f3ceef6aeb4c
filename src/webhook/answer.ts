import { spiderGroup } from '../api/index.ts'
import { stringifyJson } from '../base/index.ts'
import type { AdmissionRequest, AdmissionReview, RejectionStatus } from './admission-review.ts'
import type { PatchOperation } from './json-patch.ts'
import type { Problem } from './problem.ts'

/** What a review comes to. */
export type Verdict =
  | { readonly kind: 'allow'; readonly warnings?: readonly string[] }
  | {
      readonly kind: 'patch'
      readonly patch: readonly PatchOperation[]
      readonly warnings: readonly string[]
    }
  | { readonly kind: 'invalid'; readonly problems: readonly Problem[]; readonly warnings?: readonly string[] }
  | { readonly kind: 'forbidden' | 'exists'; readonly message: string }

/** Warnings longer than this are cut: the API server drops long ones. */
const maxWarningLength = 256

/** The answer for the API server. */
export function answerOf(request: AdmissionRequest, verdict: Verdict): AdmissionReview {
  const { uid } = request
  switch (verdict.kind) {
    case 'allow':
      return wrap({ uid, allowed: true, ...warningsOf(verdict.warnings) })
    case 'patch': {
      const patched =
        verdict.patch.length === 0
          ? {}
          : {
              patchType: 'JSONPatch' as const,
              patch: Buffer.from(stringifyJson(verdict.patch)).toString('base64'),
            }
      return wrap({ uid, allowed: true, ...patched, ...warningsOf(verdict.warnings) })
    }
    case 'invalid': {
      const status = invalidStatus(request, verdict.problems)
      return wrap({ uid, allowed: false, status, ...warningsOf(verdict.warnings) })
    }
    case 'forbidden':
      return refusal(uid, 403, 'Forbidden', verdict.message)
    case 'exists':
      return refusal(uid, 409, 'AlreadyExists', verdict.message)
  }
}

/** The answer to a request that cannot be read. */
export function badRequest(uid: string, message: string): AdmissionReview {
  return refusal(uid, 400, 'BadRequest', message)
}

function refusal(uid: string, code: number, reason: string, message: string): AdmissionReview {
  return wrap({ uid, allowed: false, status: { code, reason, message } })
}

function wrap(response: AdmissionReview['response']): AdmissionReview {
  return { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response }
}

function warningsOf(warnings: readonly string[] = []): { readonly warnings?: readonly string[] } {
  return warnings.length === 0 ? {} : { warnings: warnings.map((text) => text.slice(0, maxWarningLength)) }
}

function invalidStatus(request: AdmissionRequest, problems: readonly Problem[]): RejectionStatus {
  const causes = problems.map(({ type, error }) => ({
    reason: type,
    message: `${error.message}; ${error.hint}`,
    field: error.field,
  }))
  const { kind, name } = request
  return {
    code: 422,
    reason: 'Invalid',
    message: `${kind} "${name}" is invalid: ${causes.map(({ message }) => message).join(' | ')}`,
    details: { name, group: spiderGroup, kind, causes },
  }
}
