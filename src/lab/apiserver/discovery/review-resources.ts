/** Kinds that are only asked, never stored. */
export interface ReviewResource {
  readonly group: string
  readonly version: string
  readonly plural: string
  readonly kind: string
  readonly namespaced: boolean
}

const authentication = { group: 'authentication.k8s.io', version: 'v1', namespaced: false }
const authorization = { group: 'authorization.k8s.io', version: 'v1', namespaced: false }

export const reviewResources: readonly ReviewResource[] = [
  { ...authentication, plural: 'tokenreviews', kind: 'TokenReview' },
  { ...authentication, plural: 'selfsubjectreviews', kind: 'SelfSubjectReview' },
  { ...authorization, plural: 'selfsubjectaccessreviews', kind: 'SelfSubjectAccessReview' },
  { ...authorization, plural: 'selfsubjectrulesreviews', kind: 'SelfSubjectRulesReview' },
  { ...authorization, plural: 'subjectaccessreviews', kind: 'SubjectAccessReview' },
  {
    ...authorization,
    plural: 'localsubjectaccessreviews',
    kind: 'LocalSubjectAccessReview',
    namespaced: true,
  },
]
