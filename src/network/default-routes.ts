import { isIP } from 'node:net'
import type { IpVersion } from '../api/index.ts'

/** What happens to the default routes of one attachment. */
export interface DefaultRoutePlan {
  /** Families whose default route is taken away here. */
  readonly remove: readonly IpVersion[]
  /** Default routes that are put here. */
  readonly install: readonly { readonly version: IpVersion; readonly gateway: string }[]
}

/** As far as routes are asked of it: an attachment, its request and what its plugins made. */
export interface RoutedAttachment {
  readonly defaultRoute?: readonly string[]
  readonly routes: readonly { readonly dst: string }[]
}

/**
 * Default-route policy of a pod, per family: who asks for a family's default route gets it, all others lose theirs.
 * An empty request keeps the routes that the plugins made here. Nobody asks: nothing changes.
 * @returns one plan for each attachment, in the same order
 */
export function planDefaultRoutes(attachments: readonly RoutedAttachment[]): readonly DefaultRoutePlan[] {
  const holders = new Map<IpVersion, number>()
  attachments.forEach((attachment, index) => {
    for (const version of claimedFamilies(attachment)) holders.set(version, index)
  })
  return attachments.map((attachment, index) => {
    const install = (attachment.defaultRoute ?? []).map((gateway) => ({
      version: familyOf(gateway),
      gateway,
    }))
    const own = defaultFamilies(attachment)
    const remove = own.filter((version) => {
      const holder = holders.get(version)
      return holder !== undefined && (holder !== index || install.some((route) => route.version === version))
    })
    return { remove, install }
  })
}

/** Whether a destination is a default route: `0.0.0.0/0`, `::/0` or another spelling of them. */
export function isDefaultDestination(dst: string): boolean {
  return /^(0\.0\.0\.0|0|(0*:){1,7}:?0*)\/0$/.test(dst)
}

function claimedFamilies(attachment: RoutedAttachment): readonly IpVersion[] {
  if (attachment.defaultRoute === undefined) return []
  if (attachment.defaultRoute.length > 0) return attachment.defaultRoute.map(familyOf)
  return defaultFamilies(attachment)
}

function defaultFamilies(attachment: RoutedAttachment): readonly IpVersion[] {
  const versions = attachment.routes
    .filter(({ dst }) => isDefaultDestination(dst))
    .map(({ dst }): IpVersion => (dst.includes(':') ? 6 : 4))
  return [...new Set(versions)]
}

function familyOf(address: string): IpVersion {
  return isIP(address) === 6 ? 6 : 4
}
