import type { NetworkAttachmentDefinition, SpiderIpPool, SpiderSubnet } from '../api/index.ts'

/** Settings of the controller that admission obeys. */
export interface WebhookSettings {
  readonly enableIPv4: boolean
  readonly enableIPv6: boolean
  readonly enableSpiderSubnet: boolean
  /** Refuses to delete pools and subnets whose addresses are in use. */
  readonly guardDeletion: boolean
}

/** An address in use, as the ledger knows it. */
export interface UsedIp {
  readonly ip: string
  /** `namespace/name`. */
  readonly pod: string
}

/** What a review may look at besides its own object. The caller fills in what {@link WorldNeeds} asks for, read uncached. */
export interface WebhookWorld {
  readonly settings: WebhookSettings
  readonly pools: readonly SpiderIpPool[]
  readonly subnets: readonly SpiderSubnet[]
  /** Addresses of the pool under review that the ledger has given out. */
  readonly usedIps: readonly UsedIp[]
  /** The NetworkAttachmentDefinition that has the name which the SpiderMultusConfig under review asks for. */
  readonly attachment?: NetworkAttachmentDefinition
}

/** What one review has to look at. */
export interface WorldNeeds {
  readonly pools: boolean
  readonly subnets: boolean
  /** Pool whose addresses in use are wanted. */
  readonly usedIpsOf?: string
  readonly attachment?: { readonly namespace: string; readonly name: string }
}
