import type { Caches } from './caches.ts'
import type { Leadership } from './leadership.ts'

/** Tells the leadership, while there is one, what changed in the caches. */
export function followCaches(caches: Caches, leadership: () => Leadership | undefined): void {
  caches.pods.onChange((old, now) => leadership()?.podChanged(old, now))
  caches.pools.onChange((old, now) => leadership()?.poolChanged(old, now))
  caches.subnets.onChange((_old, now) => leadership()?.subnetChanged(now))
  caches.coordinators.onChange((_old, now) => leadership()?.coordinatorChanged(now))
  caches.reservedIps.onChange((_old, now) => leadership()?.reservationsChanged(now))
  caches.ipClaims.onChange((old, now) => leadership()?.ipClaimChanged(old, now))
  caches.ipamClaims.onChange((old, now) => leadership()?.ipClaims.changed('IPAMClaim', old, now))
  caches.networkAttachments.onChange((old, now) => leadership()?.networkAttachmentChanged(old, now))
  caches.multusConfigs.onChange((_old, now) => leadership()?.multusConfigChanged(now))
}
