import type { Attachment, BlockEntry, BlockOwner, EntryGrant } from '../api/index.ts'
import type { OwnedAddress } from './entry.ts'
import type { Chosen } from './pool/choose.ts'
import type { Reserved } from './pool/offered.ts'
import type { Want } from './pool/want.ts'

/** What an ADD does about the addresses that its owner has. */
export interface AddPlan {
  /** Freed when all wanted ones are there. What is not dropped is kept. */
  readonly drop: readonly string[]
  readonly wants: readonly Want[]
  /** Adopted addresses of which nobody knew the NIC, and that are the call's: it names them. */
  readonly named?: readonly string[]
  /** By address: what kept ones are answered with from now on. */
  readonly renewed?: ReadonlyMap<string, EntryGrant>
}

/** A new address and what the ADD is answered with. */
export interface NewGrant {
  readonly chosen: Chosen
  readonly grant: EntryGrant
}

/** One CNI ADD, or the reservation of addresses that no sandbox uses yet. */
export interface AddCall {
  readonly owner: BlockOwner
  readonly pod: string // namespace/name
  readonly podUid: string
  /** The pod's own name, when `pod` is that of a virtual machine. */
  readonly podName?: string
  readonly node: string
  readonly containerId: string
  readonly nic: string
  readonly reserved: Reserved
  /** Nothing is attached: `pod`, `podUid`, `node` and `containerId` are empty. */
  readonly isReservation?: true
  /**
   * Whether an entry of the owner may become the pod's. Absent: those of pods of its name, as what bears the name of another may be
   * in use there. Who says more has read that the other pod is over.
   */
  mayTake?(entry: BlockEntry): boolean
  /** The owner as another allocator knew it, by name alone: what that one has is the owner's. */
  readonly adoptedOwner?: BlockOwner
  /**
   * Which other pods go on to use an address of the call's NIC; without it none does. undefined: the entry names some that the
   * caller has not looked at, so that the call must begin again.
   */
  readonly sharing?: (entry: BlockEntry) => Sharing | undefined
  /** Called, again after every lost race, with all that the owner has. May throw: then nothing changes. */
  plan(existing: readonly OwnedAddress[]): AddPlan
  /** What a new address is answered with; `earlier` are those of the wants before it. */
  grant(chosen: Chosen, earlier: readonly NewGrant[]): EntryGrant
}

/** The addresses of the call's NIC, durable and proven after the call came. */
export interface AddAnswer {
  /** IPv4 before IPv6. */
  readonly addresses: readonly OwnedAddress[]
  /** Taken by this call, of all NICs. */
  readonly created: readonly OwnedAddress[]
  /** New addresses that were released less than their pool's cool-down ago. */
  readonly hurried: readonly HurriedAddress[]
}

export interface HurriedAddress {
  readonly ip: string
  readonly restedMs: number
  /** It was asked for by name; else nothing else was free. */
  readonly isNamed: boolean
}

/** Who else uses an address when the sandbox of a call does, too. */
export interface Sharing {
  /** Of those that the entry has: the sandboxes of other pods that go on. All others are over. */
  readonly others: readonly Attachment[]
  /** The entry's own pod goes on, and nobody knows its sandbox. */
  readonly isPodUnseen: boolean
}
