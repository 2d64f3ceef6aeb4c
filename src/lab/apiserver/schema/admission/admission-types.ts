import type { JsonObject } from '../record.ts'

/** A request on its way to the store, as webhooks see it. */
export interface AdmissionRequest {
  readonly operation: 'CREATE' | 'UPDATE' | 'DELETE' | 'CONNECT'
  readonly resource: { readonly group: string; readonly version: string; readonly plural: string }
  readonly kind: string
  /** '' for the resource itself. */
  readonly subresource: string
  readonly name: string
  /** undefined for cluster-scoped objects. */
  readonly namespace: string | undefined
  /** Labels of that namespace. */
  readonly namespaceLabels: JsonObject
  /** undefined on DELETE. */
  readonly object: JsonObject | undefined
  /** undefined on CREATE. */
  readonly oldObject: JsonObject | undefined
  readonly userInfo: JsonObject
  readonly dryRun: boolean
  readonly options: JsonObject | undefined
  /** Where a Service of a webhook listens; undefined when nothing is known of it. */
  readonly resolveService: (service: ServiceRef) => Promise<ServiceAddress | undefined>
}

export interface ServiceRef {
  readonly namespace: string
  readonly name: string
  readonly port: number
}

export interface ServiceAddress {
  readonly host: string
  readonly port: number
}

/** What comes of it: the object to store with warnings for the user, or the Status to answer. */
export type AdmissionOutcome =
  | {
      readonly kind: 'allowed'
      readonly object: JsonObject | undefined
      readonly warnings: readonly string[]
    }
  | { readonly kind: 'denied'; readonly status: AdmissionStatus }

/** `Status` of meta/v1 with a failure. */
export interface AdmissionStatus {
  readonly kind: 'Status'
  readonly apiVersion: 'v1'
  readonly metadata: JsonObject
  readonly status: 'Failure'
  readonly message: string
  readonly reason: string
  readonly code: number
  readonly details?: JsonObject
}
