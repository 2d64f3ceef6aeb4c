import { formatIp, type IpAddress } from '../../address/index.ts'
import {
  resources,
  type SpiderIpBlock,
  type SpiderReservedIp,
  spiderGroup,
  spiderVersion,
} from '../../api/index.ts'
import { Backoff, OperationError, systemClock, systemRandom } from '../../base/index.ts'
import { ApiError, type KubeApi } from '../../kube/index.ts'
import { reservedOf } from '../../ledger/index.ts'
import { formatDuration, formatTime } from '../durations.ts'
import { type AddressFacts, isInPool } from './address-view.ts'
import {
  attempts,
  emptyBlockOf,
  quarantineByHand,
  reservationName,
  retryMs,
  withQuarantine,
} from './block-edit.ts'
import { readAddress } from './read-address.ts'

/** What `ip set` makes of an address. */
export type Setting =
  | { readonly kind: 'quarantine'; readonly forMs: number }
  | { readonly kind: 'reserve' }
  | { readonly kind: 'unreserve' }

/** One write, in words and as it is sent; nothing, or a refusal. */
export type SetPlan =
  | { readonly kind: 'nothing'; readonly why: string }
  | { readonly kind: 'refuse'; readonly why: string; readonly remedy: string }
  | {
      readonly kind: 'writeBlock'
      readonly text: string
      readonly block: SpiderIpBlock
      readonly isNew: boolean
    }
  | {
      readonly kind: 'writeReservation'
      readonly text: string
      readonly object: SpiderReservedIp
      readonly isNew: boolean
      /** What may be a mistake of the person who asks. */
      readonly warning?: string
    }
  | { readonly kind: 'deleteReservation'; readonly text: string; readonly object: SpiderReservedIp }

export interface SetFacts extends AddressFacts {
  readonly block: SpiderIpBlock | undefined
}

/** What has to be written so that the address is as wanted. */
export function planSet(facts: SetFacts, setting: Setting, nowMs: number): SetPlan {
  switch (setting.kind) {
    case 'quarantine':
      return planQuarantine(facts, setting.forMs, nowMs)
    case 'reserve':
      return planReserve(facts)
    default:
      return planUnreserve(facts)
  }
}

function planQuarantine(facts: SetFacts, forMs: number, nowMs: number): SetPlan {
  const { ip, address, entry, isUnreadable, block } = facts
  if (entry !== undefined || isUnreadable) {
    const holder = entry === undefined ? 'somebody whose record cannot be read' : `pod ${entry.pod}`
    return {
      kind: 'refuse',
      why: `${ip} is held by ${holder}`,
      remedy: `free it first, or keep it from others once it is free: spiderpoolctl ip set ${ip} --reserve`,
    }
  }
  if (!isInPool(facts))
    return {
      kind: 'refuse',
      why: `no IPPool has ${ip} in spec.ips: no pod would get it`,
      remedy: `check the address; to keep it from pools that are yet to come: spiderpoolctl ip set ${ip} --reserve`,
    }
  const quarantine = quarantineByHand(nowMs, forMs)
  const text = `keep ${ip} from all pods for ${formatDuration(forMs)}, until ${formatTime(quarantine.until)}`
  const isNew = block === undefined
  return {
    kind: 'writeBlock',
    text,
    block: withQuarantine(block ?? emptyBlockOf(address), ip, quarantine),
    isNew,
  }
}

function planReserve(facts: SetFacts): SetPlan {
  const { ip, address, entry, reservations } = facts
  const covering = reservations.find((one) => reservedOf([one])[address.version].has(address))
  if (covering !== undefined)
    return { kind: 'nothing', why: `SpiderReservedIP ${covering.metadata.name} reserves ${ip} already` }
  const name = reservationName(address)
  const found = reservations.find(({ metadata }) => metadata.name === name)
  if (found?.metadata.deletionTimestamp !== undefined)
    return {
      kind: 'refuse',
      why: `SpiderReservedIP ${name} is being deleted`,
      remedy: 'repeat when it is gone',
    }
  const keeps = entry === undefined ? '' : `; pod ${entry.pod} keeps it as long as it lives`
  const text = `reserve ${ip}: ${found === undefined ? 'create' : 'extend'} SpiderReservedIP ${name}${keeps}`
  const object: SpiderReservedIp =
    found === undefined
      ? {
          apiVersion: `${spiderGroup}/${spiderVersion}`,
          kind: 'SpiderReservedIP',
          metadata: { name },
          spec: { ipVersion: address.version, ips: [ip] },
        }
      : { ...found, spec: { ...found.spec, ips: [...(found.spec.ips ?? []), ip] } }
  const warning = `no IPPool has ${ip} in spec.ips: it is reserved for pools that are yet to come; check the address`
  return {
    kind: 'writeReservation',
    text,
    object,
    isNew: found === undefined,
    ...(isInPool(facts) ? {} : { warning }),
  }
}

function planUnreserve({ ip, address, reservations }: SetFacts): SetPlan {
  const covering = reservations.filter((one) => reservedOf([one])[address.version].has(address))
  const [first] = covering
  if (first === undefined) return { kind: 'nothing', why: `no SpiderReservedIP reserves ${ip}` }
  const name = reservationName(address)
  const foreign = covering.find(({ metadata }) => metadata.name !== name)
  if (foreign !== undefined)
    return {
      kind: 'refuse',
      why: `SpiderReservedIP ${foreign.metadata.name} reserves ${ip}, with ${(foreign.spec.ips ?? []).join(', ')}`,
      remedy: `it was made by somebody else: kubectl edit spiderreservedip ${foreign.metadata.name}`,
    }
  const rest = (first.spec.ips ?? []).filter((text) => text !== formatIp(address))
  if (rest.length === 0)
    return {
      kind: 'deleteReservation',
      text: `delete SpiderReservedIP ${name}: ${ip} may be given out`,
      object: first,
    }
  const object = { ...first, spec: { ...first.spec, ips: rest } }
  return {
    kind: 'writeReservation',
    text: `take ${ip} out of SpiderReservedIP ${name}`,
    object,
    isNew: false,
  }
}

/** The object went on changing. */
class SetBusyError extends OperationError {
  override readonly code = 'SET_BUSY'
  override readonly retry = 'later'
}

/** Reads, plans and writes; again, when anybody wrote in between. @param isMeant false: only plans */
export async function setAddress(
  address: IpAddress,
  order: { readonly setting: Setting; readonly isMeant: boolean; nowMs(): number },
  api: KubeApi,
  signal: AbortSignal,
): Promise<SetPlan> {
  const backoff = new Backoff(retryMs, systemRandom)
  for (let left = attempts; left > 0; left--) {
    const plan = planSet(await readAddress(address, api, signal), order.setting, order.nowMs())
    if (!order.isMeant || plan.kind === 'nothing' || plan.kind === 'refuse') return plan
    try {
      await carryOut(plan, api, signal)
      return plan
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 409) throw error
      await systemClock.sleep(backoff.nextMs(), signal)
    }
  }
  const problem = `Cannot set ${formatIp(address)}: its object changed ${attempts} times while it was edited`
  throw new SetBusyError(problem, 'Repeat when fewer pods come and go')
}

type Write = Exclude<SetPlan, { readonly kind: 'nothing' | 'refuse' }>

async function carryOut(plan: Write, api: KubeApi, signal: AbortSignal): Promise<void> {
  if (plan.kind === 'deleteReservation') {
    const { name, uid, resourceVersion } = plan.object.metadata
    const seen = {
      ...(uid === undefined ? {} : { uid }),
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
    }
    return api.delete(resources.reservedIp, { name }, seen, signal)
  }
  const isBlock = plan.kind === 'writeBlock'
  const resource = isBlock ? resources.ipBlock : resources.reservedIp
  const object = isBlock ? plan.block : plan.object
  await (plan.isNew ? api.create(resource, object, signal) : api.replace(resource, object, signal))
}
