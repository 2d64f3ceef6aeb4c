/**
 * Sizes that the schemas bound, so that the API server can bound the cost of their rules. They stand far above real use.
 * Lengths are in characters.
 */
export const crdLimits = {
  /** Text of one IP address: eight groups, the last two in dotted decimal. */
  ipLength: 45,
  /** Text of one CIDR. */
  cidrLength: 49,
  /** Text of one range: two addresses and a dash. */
  rangeLength: 91,
  /** Entries of `ips` or `excludeIPs`; one entry may hold any number of addresses. */
  ranges: 3000,
  /** Entries of `routes` or `policyRoutes`. */
  routes: 200,
  /** Routes of one recorded answer: those of a pool and of a pod together. */
  recordedRoutes: 1000,
  /** Any other text of a record: names and ids, at most `namespace/name` of 253 characters each. */
  recordedText: 512,
  /** Term of a leader: a Lease counts its own with 32 bits. */
  term: 2_000_000_000,
  /** Entries of `hijackCIDR`. */
  hijackCidrs: 500,
  /** Expressions of one label selector. */
  labelExpressions: 200,
  /** Text of `podMACPrefix`. */
  macPrefixLength: 17,
  /** Entries of `ovs.trunk`. */
  trunks: 4096,
  /** Addresses in one block, and as many release times. */
  blockEntries: 4096,
  /** One record of a block, as JSON: an owner with its routes and facts, and all claims to its address. */
  recordBytes: 262_144,
  /** Holders of one address beside its owner, as other allocators recorded them. */
  blockClaims: 128,
  /** Past holders of the addresses of one block; the controller keeps fewer. */
  blockHistory: 1024,
  /** Text of a name server, a domain or an option: a domain name has 253 characters. */
  dnsText: 253,
  /** Name servers, search domains or options of one network. */
  dnsItems: 16,
  /** Free-form facts of one allocation. */
  metadataItems: 32,
  /** Addresses that a pod may ask for of one NIC: those of all replicas of its workload. */
  askedIps: 1024,
  /** Name of one such fact. */
  metadataKey: 128,
  /** DNS settings and facts of one recorded answer, as JSON: 128 pods of one block must fit the 1.5 MiB of an object. */
  attributeBytes: 2048,
  /** Names of pools of one family in a claim. */
  claimPools: 256,
  /** Name of an interface: what Linux takes. */
  interfaceLength: 15,
  /** Conditions of one pool. */
  poolConditions: 20,
} as const
