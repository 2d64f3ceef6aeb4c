import { createHash } from 'node:crypto'
import { annotationKeys, type SpiderEndpoint, type SpiderIpPool } from '../../api/index.ts'

/** Digest of a text, by which a view that we wrote is told from what others wrote. */
export function textDigest(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

/**
 * Who wrote `status.allocatedIPs`. A pool that nobody wrote to is `blank`. An allocator that does not know our mark drops it
 * when it writes the status whole, and leaves a wrong digest when it changes the text alone.
 */
export function writerOf(status: SpiderIpPool['status']): 'us' | 'others' | 'blank' {
  const text = status?.allocatedIPs ?? ''
  const digest = status?.allocatedIPsView?.sha256
  if (digest === undefined) return text === '' ? 'blank' : 'others'
  return digest === textDigest(text) ? 'us' : 'others'
}

/** Digest of the addresses that an endpoint shows, whatever the order of its members. */
export function endpointDigest({ uid, ips }: SpiderEndpoint['status']['current']): string {
  const lines = ips.flatMap((nic) => [
    `${nic.interface} ${nic.ipv4 ?? ''} ${nic.ipv4Pool ?? ''}`,
    `${nic.interface} ${nic.ipv6 ?? ''} ${nic.ipv6Pool ?? ''}`,
  ])
  return textDigest([uid, ...lines.sort()].join('\n')).slice(0, 32)
}

/** True when the endpoint shows what we wrote. */
export function isOurEndpoint({ metadata, status }: SpiderEndpoint): boolean {
  const mark = metadata.annotations?.[annotationKeys.endpointView]
  const current = status?.current
  return mark !== undefined && current?.ips !== undefined && mark === endpointDigest(current)
}
