import { parseIp } from '../../address/index.ts'
import { annotationKeys, type SpiderIpPool, spiderGroup, spiderVersion, totalSetOf } from '../../api/index.ts'
import { InvalidInputError, type Logger } from '../../base/index.ts'
import type { EventRecorder, EventSubject, ObjectRef } from '../../kube/index.ts'
import type { EndpointProblem, ForeignText } from './observe.ts'

const maxNamed = 5 // addresses or objects in one message

/** Tells people what was adopted, and what was odd, by Events on the objects and in the log. */
export class AdoptionReport {
  readonly #events: EventRecorder
  readonly #logger: Logger

  constructor({ events, logger }: { readonly events: EventRecorder; readonly logger: Logger }) {
    this.#events = events
    this.#logger = logger
  }

  /** The records of a pool were adopted when a leader began. */
  adopted(text: ForeignText): void {
    const message = `the ledger has the ${text.claims.length} records that another allocator left in status.allocatedIPs`
    this.#events.event(subjectOf(text.pool), 'Normal', 'RecordsAdopted', message)
    this.#oddities(text)
  }

  /** Somebody else changed the records of a pool. */
  changed(text: ForeignText, found: readonly string[], missing: readonly string[]): void {
    const parts = [
      ...(found.length === 0 ? [] : [`took in ${some(found)}`]),
      ...(missing.length === 0 ? [] : [`kept ${some(missing)}, which it left out and the ledger has`]),
    ]
    const what = parts.length === 0 ? 'it says what the ledger says' : parts.join('; ')
    const message = `status.allocatedIPs was changed by others: ${what}. Only the controller should write it`
    this.#events.event(subjectOf(text.pool), 'Warning', 'RecordsChangedByOthers', message)
    this.#logger.warn('records were changed by others', {
      pool: text.pool.metadata.name,
      found: found.slice(0, maxNamed),
      missing: missing.slice(0, maxNamed),
    })
    this.#oddities(text)
  }

  /** Agents of the reference run. */
  halted(agents: readonly ObjectRef[], reason: string): void {
    this.#logger.warn('nothing is allocated', { reason })
    for (const metadata of agents.slice(0, maxNamed)) {
      const subject = { apiVersion: 'v1', kind: 'Pod', metadata }
      const message = `this agent of another allocator runs: the controller allocates nothing until it is gone`
      this.#events.event(subject, 'Warning', 'AllocationHalted', message)
    }
  }

  /** Addresses of endpoints that cannot be read. The pool's record, which decides, is judged by itself. */
  endpoints(problems: readonly EndpointProblem[]): void {
    for (const { endpoint, error } of problems) {
      const subject = { ...endpoint, apiVersion: `${spiderGroup}/${spiderVersion}`, kind: 'SpiderEndpoint' }
      this.#events.event(subject, 'Warning', 'EndpointUnreadable', `${error.message}; ${error.hint}`)
      const { namespace, name } = endpoint.metadata
      this.#logger.warn('endpoint cannot be read', { endpoint: `${namespace ?? ''}/${name}`, err: error })
    }
  }

  /** What is wrong with a text that cannot be read, and what to do. */
  unreadableText({ unreadable, digest, pool }: ForeignText): string {
    const [first, ...others] = unreadable
    if (first === undefined) return ''
    const more = others.length === 0 ? '' : ` (and ${others.length} more)`
    return (
      `${first.message}${more}. The pool hands out nothing new: mend the text, or discard what cannot be read by ` +
      `kubectl annotate spiderippool ${pool.metadata.name} ${annotationKeys.discardAllocatedIps}=${digest}`
    )
  }

  #oddities(text: ForeignText): void {
    const { pool, unreadable, isDiscarded, remarks, claims } = text
    const warn = (reason: string, message: string): void => {
      this.#events.event(subjectOf(pool), 'Warning', reason, message)
      this.#logger.warn('records of others are odd', { pool: pool.metadata.name, reason, message })
    }
    if (unreadable.length > 0 && !isDiscarded) warn('RecordsUnreadable', this.unreadableText(text))
    if (unreadable.length > 0 && isDiscarded) {
      warn('RecordsDiscarded', `${unreadable[0]?.message ?? ''}: discarded, as the annotation says`)
    }
    for (const remark of remarks.slice(0, maxNamed)) warn('RecordsOdd', remark)
    const outside = outsideOf(
      pool,
      claims.map(({ ip }) => ip),
    )
    if (outside.length === 0) return
    warn(
      'RecordsOutside',
      `${some(outside)} in status.allocatedIPs are outside the pool: kept for their pods`,
    )
  }
}

function subjectOf({ metadata }: SpiderIpPool): EventSubject {
  return { apiVersion: `${spiderGroup}/${spiderVersion}`, kind: 'SpiderIPPool', metadata }
}

function some(ips: readonly string[]): string {
  const more = ips.length > maxNamed ? ` and ${ips.length - maxNamed} more` : ''
  return `${ips.slice(0, maxNamed).join(', ')}${more}`
}

/** The addresses that the pool does not have. */
function outsideOf(pool: SpiderIpPool, ips: readonly string[]): readonly string[] {
  try {
    const total = totalSetOf(pool)
    return ips.filter((ip) => ip.includes(':') !== (total.version === 6) || !total.has(parseIp(ip)))
  } catch (error) {
    if (error instanceof InvalidInputError) return []
    throw error
  }
}
