import type { BlockEntry } from '../../api/index.ts'
import { attachmentsOf, claimsOf, openIntent } from '../../ledger/index.ts'
import { type AddressFacts, ownerText, podStateOf } from './address-view.ts'

/** All that a release is decided on, read after the block that it will be written upon. */
export interface ReleaseFacts
  extends Pick<AddressFacts, 'ip' | 'entry' | 'isUnreadable' | 'quarantine' | 'pod'> {
  /** Of a sticky owner: its workload as just read. `unknown`: of a kind that cannot be looked up here. */
  readonly workload: 'exists' | 'gone' | 'unknown'
  /** Nodes that nothing can run on: their object is gone, or they are marked out of service. */
  readonly deadNodes: ReadonlySet<string>
  /** Entries of the same request, when the entry was made with others. */
  readonly siblings: readonly { readonly ip: string; readonly entry: BlockEntry }[]
}

export type ReleasePlan =
  | { readonly kind: 'nothing'; readonly why: string }
  | { readonly kind: 'endQuarantine'; readonly why: string }
  | { readonly kind: 'free'; readonly why: string; readonly settle: readonly string[] }
  | {
      readonly kind: 'refuse'
      readonly why: string
      readonly remedy: string
      /** What --force does all the same; undefined: not even that helps. */
      readonly forced?: readonly string[]
    }

/**
 * Whether an operator may free an address. The reasons are the reclaimer's (design: the ledger, rule 7): nothing that a
 * living pod, a workload's next pod or a sandbox may still use.
 */
export function planRelease(facts: ReleaseFacts): ReleasePlan {
  const { ip, entry, isUnreadable, quarantine } = facts
  if (isUnreadable)
    return {
      kind: 'refuse',
      why: `the record of ${ip} cannot be read`,
      remedy: 'mend or remove it: kubectl edit spideripblock; see: spiderpoolctl ip conflicts',
    }
  if (entry === undefined) {
    if (quarantine === undefined) return { kind: 'nothing', why: `nobody holds ${ip}` }
    return { kind: 'endQuarantine', why: `nobody holds ${ip}, and it is in quarantine` }
  }
  const settle = facts.siblings
    .filter((one) => one.ip !== ip && openIntent(one.entry)?.includes(ip) === true)
    .map((one) => one.ip)
  const missing = (openIntent(entry) ?? []).filter(
    (one) => !facts.siblings.some((sibling) => sibling.ip === one),
  )
  if (missing.length > 0)
    return {
      kind: 'refuse',
      why: `${ip} belongs to a request that is half done: ${missing.join(', ')} is not there yet`,
      remedy: 'wait: the leader completes or undoes it',
    }
  const blocked = whyBlocked(entry, facts)
  if (blocked !== undefined) return { kind: 'refuse', ...blocked, forced: settle }
  return { kind: 'free', why: whyFree(entry, facts), settle }
}

function whyBlocked(
  entry: BlockEntry,
  { ip, pod, workload, deadNodes }: ReleaseFacts,
): { readonly why: string; readonly remedy: string } | undefined {
  const state = podStateOf(entry, pod)
  if (state === 'alive')
    return {
      why: `pod ${entry.pod} is alive and uses ${ip}`,
      remedy:
        entry.owner.kind === 'sticky' && workload !== 'gone'
          ? `delete or scale down ${ownerText(entry)}, which keeps the address also without the pod`
          : 'delete the pod: that frees the address',
    }
  if (entry.owner.kind === 'sticky' && workload !== 'gone')
    return {
      why: `${ip} is kept for the next pod of ${ownerText(entry)}`,
      remedy: 'delete or scale down its owner: that frees the address',
    }
  const attached = attachmentsOf(entry)
  if (state === 'terminating' && (attached.length > 0 || entry.adopted !== undefined))
    return {
      why: `pod ${entry.pod} is terminating, and its sandbox may still use ${ip}`,
      remedy: 'wait until the pod is gone',
    }
  const unsure = attached.find(({ node }) => !deadNodes.has(node))
  if (unsure === undefined) return undefined
  return {
    why: `pod ${entry.pod} is ${state}, but container ${unsure.containerId} may still run on node ${unsure.node}`,
    remedy: `the leader frees the address as soon as the agent there says that it is gone; of a dead node, delete the Node object, or taint it node.kubernetes.io/out-of-service`,
  }
}

function whyFree(entry: BlockEntry, { pod, workload }: ReleaseFacts): string {
  const owner =
    entry.owner.kind === 'sticky' && workload === 'gone' ? `, and ${ownerText(entry)} is gone` : ''
  const sandboxes =
    attachmentsOf(entry).length === 0 ? 'no sandbox uses it' : 'the nodes of its sandboxes are dead'
  const state = podStateOf(entry, pod)
  return `${state === 'none' ? 'no pod has it' : `pod ${entry.pod} is ${state}`}, ${sandboxes}${owner}`
}

/** The plan in words, for a person who has not said --yes yet. */
export function releaseText(ip: string, entry: BlockEntry | undefined): string {
  const [heir] = entry === undefined ? [] : claimsOf(entry)
  if (heir === undefined) return `free ${ip}`
  return `take ${ip} from pod ${entry?.pod ?? ''} and leave it to pod ${heir.pod}, which is recorded for it too`
}
