/**
 * Admission: what is filled into our objects and what is refused, as pure functions of an AdmissionReview and a snapshot.
 * Types to know: `WebhookWorld`, `WorldNeeds`, `Registration`. This room does no I/O: the caller serves HTTPS and reads.
 */
export type { AdmissionResponse, AdmissionReview, RejectionStatus } from './admission-review.ts'
export { asksForNetworks } from './pods/inject-pod.ts'
export {
  type Operation,
  type Registration,
  registrations,
  type WebhookTarget,
  webhookConfigurations,
  webhookHealthPath,
} from './registrations.ts'
export { needsOf, type ReviewMode, review } from './review.ts'
export type {
  InjectionWorld,
  PodInjectSettings,
  UsedIp,
  WebhookSettings,
  WebhookWorld,
  WorldNeeds,
} from './world.ts'
