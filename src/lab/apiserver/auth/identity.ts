import type { JsonObject } from '../schema/record.ts'

/** Who sent a request, as UserInfo of authentication.k8s.io. */
export interface Identity {
  readonly username: string
  readonly uid: string
  readonly groups: readonly string[]
  readonly extra: Readonly<Record<string, readonly string[]>>
}

export function userInfo(identity: Identity): JsonObject {
  const { username, uid, groups, extra } = identity
  return {
    username,
    ...(uid === '' ? {} : { uid }),
    groups,
    ...(Object.keys(extra).length === 0 ? {} : { extra }),
  }
}
