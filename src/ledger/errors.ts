import { OperationError } from '../base/index.ts'

/** No pool may serve the request: none was named, or each was refused. Lists every pool and why. */
export class NoPoolError extends OperationError {
  override readonly code = 'NO_POOL'
  override readonly retry = 'after-change'
  readonly #reason: string
  /** @param reason stable, kebab-case: the code of the rule when all pools were refused by the same one */
  constructor(reason: string, problem: string, hint: string) {
    super(`no IPPool available, ${problem}`, hint)
    this.#reason = reason
  }

  override get reasonCode(): string {
    return this.#reason
  }
}

/** A claim may have none. */
const toNic = (nic: string): string => (nic === '' ? '' : ` to NIC ${nic}`)

/** Every candidate pool is full. Repeating the call does not help until an address is freed. */
export class PoolFullError extends OperationError {
  override readonly code = 'POOL_FULL'
  override readonly retry = 'after-change'
  /** Names of the pools that are full. */
  readonly pools: readonly string[]
  constructor(
    request: { version: number; nic: string; pools: readonly string[] },
    reasons: readonly string[],
  ) {
    const { version, nic, pools } = request
    super(
      `all IP addresses used out: failed to allocate any IPv${version} IP address${toNic(nic)} ` +
        `from IPPools [${pools.join(', ')}]: ${reasons.join('; ')}`,
      'Add a range to spec.ips of one of the pools, add a pool, or look for idle owners of their addresses',
    )
    this.pools = pools
  }
}

/** The pod asked for addresses, and may have none of them. Says of the first ones why not. */
export class AddressRefusedError extends OperationError {
  override readonly code = 'ADDRESS_REFUSED'
  override readonly retry = 'after-change'
  /**
   * @param others how many addresses there are beside those with a reason; and whether somebody has one of all, who may give
   *   it back
   */
  constructor(
    request: { version: number; nic: string },
    reasons: readonly string[],
    others: { readonly left: number; readonly isHeld: boolean },
  ) {
    const { version, nic } = request
    const listed = reasons.join('; ') + (others.left > 0 ? `; and ${others.left} more` : '')
    super(
      `failed to allocate any of the IPv${version} addresses that were asked for${toNic(nic)}: ${listed}`,
      others.isHeld
        ? 'Ask for an address that is free, or free it where it is held'
        : 'Ask for a free address that spec.ips of one of the pools has, and that is no gateway, excluded or reserved',
    )
  }
}

/** The pod asked for a MAC address that another NIC has. */
export class MacTakenError extends OperationError {
  override readonly code = 'MAC_TAKEN'
  override readonly retry = 'after-change'
  /** @param holder absent: one that who asks is not to be told of */
  constructor(mac: string, nic: string, holder?: { readonly pod: string; readonly nic: string }) {
    const who = holder === undefined ? 'a pod of another namespace' : `NIC ${holder.nic} of pod ${holder.pod}`
    super(
      `failed to give MAC address ${mac}${toNic(nic)}: it is held by ${who}`,
      'Ask for another MAC address, or free it where it is held',
    )
  }
}

/** A node has met more addresses in use by others than can be true: what it says is not believed any more. */
export class QuarantineFullError extends OperationError {
  override readonly code = 'QUARANTINE_FULL'
  override readonly retry = 'later'
  constructor(node: string, limit: number) {
    super(
      `Cannot quarantine another address for node "${node}": ${limit} are quarantined because of it`,
      'Find out who answers for them (`spec.quarantine` of SpiderIPBlock objects), or what is wrong with the node',
    )
  }
}

/** A newer leader has written: this one must never write or answer again. */
export class LedgerDeposedError extends OperationError {
  override readonly code = 'LEDGER_DEPOSED'
  override readonly retry = 'later'
  /** The newer leader's term. */
  readonly observedTerm: number
  constructor(term: number, observedTerm: number) {
    super(
      `Cannot use the ledger of term ${term}: a leader of term ${observedTerm} has written`,
      'Repeat the request at the new leader',
    )
    this.observedTerm = observedTerm
  }
}

/** The ledger was closed while the request waited. */
export class LedgerClosedError extends OperationError {
  override readonly code = 'LEDGER_CLOSED'
  override readonly retry = 'later'
  constructor() {
    super('Cannot use the ledger: it is closed', 'Repeat the request at the new leader')
  }
}

/** Too much at once, or the same block lost too many races. Nothing was taken. */
export class LedgerBusyError extends OperationError {
  override readonly code = 'LEDGER_BUSY'
  override readonly retry = 'now'
  constructor(problem: string) {
    super(`exhaust all retries, ${problem}`, 'Repeat the request')
  }
}

/** A write was refused because the block is not the version that was read. Thrown by a {@link BlockStore}. */
export class BlockConflictError extends OperationError {
  override readonly code = 'BLOCK_CONFLICT'
  override readonly retry = 'now'
  constructor(block: string, options?: ErrorOptions) {
    super(`Cannot write SpiderIPBlock "${block}": it changed since it was read`, 'Read it again', options)
  }
}

/** A write was refused for what it holds, and took no effect. Thrown by a {@link BlockStore}. */
export class BlockRefusedError extends OperationError {
  override readonly code = 'BLOCK_REFUSED'
  override readonly retry = 'later'
  constructor(block: string, reason: string, options?: ErrorOptions) {
    const hint =
      'Compare the SpiderIPBlock CRD with the version of the controller, and the rights of the controller'
    super(`Cannot write SpiderIPBlock "${block}": ${reason}`, hint, options)
  }
}

/** A block of another size than ours owns addresses: we would not look for them there, and give them out again. */
export class BlockSizeError extends OperationError {
  override readonly code = 'BLOCK_SIZE'
  override readonly retry = 'after-change'
  constructor(block: string, prefixBits: number) {
    super(
      `Cannot serve from the ledger: block "${block}" owns addresses, but blocks are /${prefixBits} here`,
      'Run the release that wrote the block; or, if it was made by hand, save it and delete it, when no pod has its addresses',
    )
  }
}
