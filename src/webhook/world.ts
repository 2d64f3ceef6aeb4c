import type {
  Namespace,
  NetworkAttachmentDefinition,
  SpiderIpPool,
  SpiderMultusConfig,
  SpiderSubnet,
} from '../api/index.ts'

/** Settings of the controller that admission obeys. */
export interface WebhookSettings {
  readonly enableIPv4: boolean
  readonly enableIPv6: boolean
  readonly enableSpiderSubnet: boolean
  /** Refuses to delete pools and subnets whose addresses are in use. */
  readonly guardDeletion: boolean
  /** Absent: pods are left alone. */
  readonly podInject?: PodInjectSettings
}

/** How pods that ask for it get networks and resources. */
export interface PodInjectSettings {
  /** Namespace of the product: its pods are left alone, its networks may be injected anywhere. */
  readonly installNamespace: string
  /** Namespaces whose pods are left alone, besides kube-system and the product's own. */
  readonly excludedNamespaces: readonly string[]
  /** The only namespaces whose pods are looked at; empty: all others. */
  readonly includedNamespaces: readonly string[]
  /** Namespaces whose networks may be injected into pods of other namespaces; `*`: all. */
  readonly trustedNamespaces: readonly string[]
  /** Pods ask the scheduler for a node that has the parent NICs of their networks. */
  readonly masterNics: boolean
  /** Resource that counts the free sub-interfaces of a node; absent: pods do not ask for any. */
  readonly subEniResource?: string
}

/** An address in use, as the ledger knows it. */
export interface UsedIp {
  readonly ip: string
  /** Who has it, as people are told: `pod "namespace/name"`, or the kind and name of a claim that no pod uses. */
  readonly holder: string
}

/** What a review may look at besides its own object. The caller fills in what {@link WorldNeeds} asks for, read uncached. */
export interface WebhookWorld {
  readonly settings: WebhookSettings
  readonly pools: readonly SpiderIpPool[]
  readonly subnets: readonly SpiderSubnet[]
  /** Addresses that the ledger has given out: of the pool under review, for a reservation of all pools. */
  readonly usedIps: readonly UsedIp[]
  /** The NetworkAttachmentDefinition that has the name which the SpiderMultusConfig under review asks for. */
  readonly attachment?: NetworkAttachmentDefinition
  /** For a pod. */
  readonly injection?: InjectionWorld
}

/** What a pod may get, and what its namespace says. A cache is good enough: it is what an operator configured before. */
export interface InjectionWorld {
  readonly namespace: Namespace | undefined
  /** Of all namespaces. */
  readonly configs: readonly SpiderMultusConfig[]
}

/** What one review has to look at. */
export interface WorldNeeds {
  readonly pools: boolean
  readonly subnets: boolean
  /** Pool whose addresses in use are wanted; `all`: those of every pool. */
  readonly usedIpsOf?: string | { readonly all: true }
  readonly attachment?: { readonly namespace: string; readonly name: string }
  /** A pod that may want networks. */
  readonly injectionInto?: { readonly namespace: string; readonly pod: Readonly<Record<string, unknown>> }
}
