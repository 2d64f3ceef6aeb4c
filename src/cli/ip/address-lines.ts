import { formatFields } from '../output.ts'
import { formatTable } from '../table.ts'
import type { AddressView, HistoryView, HolderView } from './address-view.ts'

/** `ip show` for people. */
export function addressLines(view: AddressView): readonly string[] {
  const { ip, holder, claimedBy, quarantine, releasedAt, pools, reservedBy } = view
  const fields: (readonly [string, string | readonly string[]])[] = [
    ['Address', ip],
    ['State', stateText(view)],
    [
      'Pools',
      pools.length === 0
        ? 'no pool has it in its subnet'
        : pools.map(({ name, role }) => `${name} (${role})`),
    ],
  ]
  if (holder !== undefined) fields.push(...holderFields(holder))
  for (const claim of claimedBy)
    fields.push(['Claimed by', `pod ${claim.pod} (uid ${claim.podUid}), pool ${claim.pool}`])
  if (reservedBy.length > 0)
    fields.push(['Reserved by', reservedBy.map((name) => `SpiderReservedIP ${name}`)])
  if (quarantine !== undefined) {
    const { since, until, isOver, mac, foundBy } = quarantine
    const who =
      foundBy === undefined ? 'set by hand' : `met by pod ${foundBy.pod}, ${foundBy.nic}, on ${foundBy.node}`
    const other = mac === undefined ? '' : `, the other party is ${mac}`
    fields.push(['Quarantine', `${since} to ${until}${isOver ? ' (over)' : ''}: ${who}${other}`])
  }
  if (releasedAt !== undefined) fields.push(['Released', releasedAt])
  return formatFields(fields)
}

const meanings: Readonly<Record<AddressView['state'], string>> = {
  allocated: 'held by a pod, or kept for the next pod of its owner',
  contested: 'recorded for several pods: given to nobody new until one is left',
  unreadable: 'its record cannot be read: given to nobody',
  quarantined: 'somebody outside uses it: given to nobody',
  reserved: 'given to nobody',
  excluded: 'spec.excludeIPs of its pool keeps it from everybody',
  gateway: 'the gateway of its pool: given to nobody',
  resting: 'free, and given out when nothing that rested longer is left',
  free: 'may be given out',
  outside: 'no pool gives it out',
}

function stateText({ state }: AddressView): string {
  return `${state}: ${meanings[state]}`
}

function holderFields(holder: HolderView): readonly (readonly [string, string | readonly string[]])[] {
  const { pod, podUid, podState, node, nic, pool, owner, since, attachments, grant, isStatic, adopted } =
    holder
  const sandboxes = attachments.map(
    ({ containerId, node: at, active }) => `container ${containerId} on ${at}${active ? '' : ' (passive)'}`,
  )
  const asked = isStatic ? 'yes, the pod asked for it' : undefined
  const found = adopted === undefined ? undefined : `from the ${adopted} of another allocator`
  return [
    [
      'Pod',
      podState === 'none' ? 'none: its owner keeps the address' : `${pod} (uid ${podUid}), ${podState}`,
    ],
    ['Owner', owner],
    ['Node', node],
    ['NIC', nic],
    ['Pool', pool],
    ['Since', since],
    ['Sandboxes', sandboxes.length === 0 ? 'none: detached' : sandboxes],
    ['Grant', grantText(grant)],
    ...(asked === undefined ? [] : ([['Static', asked]] as const)),
    ...(found === undefined ? [] : ([['Adopted', found]] as const)),
  ]
}

function grantText(grant: HolderView['grant']): readonly string[] {
  const { prefixBits, gateway, cleanGateway, vlan, mac, dns, metadata = {}, routes = [] } = grant
  const first = [
    `prefix /${prefixBits}`,
    gateway === undefined
      ? 'no gateway'
      : `gateway ${gateway}${cleanGateway === true ? ' (no default route)' : ''}`,
    ...(vlan === undefined ? [] : [`VLAN ${vlan}`]),
    ...(mac === undefined ? [] : [`MAC ${mac}`]),
    ...(dns?.nameservers === undefined ? [] : [`DNS ${dns.nameservers.join(' ')}`]),
  ].join(', ')
  return [
    first,
    ...routes.map(({ dst, gw }) => `route ${dst} via ${gw}`),
    ...Object.entries(metadata).map(([key, value]) => `${key}=${value}`),
  ]
}

/** `ip history` for people, newest first. */
export function historyLines({ ip, holders, releasedAt }: HistoryView): readonly string[] {
  const released = releasedAt === undefined ? [] : [`${ip} was released last at ${releasedAt}`]
  if (holders.length === 0) return released.length === 0 ? [`Nobody is on record for ${ip}`] : released
  const rows = holders.map(({ pod, podUid, node, nic, since, until = 'now' }) => [
    pod,
    podUid,
    node,
    nic,
    since,
    until,
  ])
  return [...formatTable(['POD', 'UID', 'NODE', 'NIC', 'SINCE', 'UNTIL'], rows), ...released]
}
