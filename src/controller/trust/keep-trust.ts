import { type KubeObject, resources, trustNames } from '../../api/index.ts'
import { type Clock, type Logger, toError } from '../../base/index.ts'
import { ApiError, type KubeApi } from '../../kube/index.ts'
import type { CertificateSource } from './certificate-source.ts'

/** The leader tells of the authorities again at least this often, and mends what somebody changed. */
const tellAgainMs = 60_000
const retryMs = 2_000
const minWaitMs = 250

export interface TrustKeeping {
  readonly source: CertificateSource
  /** Tells everybody who verifies us of the authorities; safe to repeat. */
  readonly tell: (caBundle: string, signal: AbortSignal) => Promise<void>
  readonly clock: Clock
  readonly logger: Logger
}

/**
 * The leader's part of trust, until aborted: certificates are renewed in time, and a new authority is told to all who verify us
 * before anything that it signed is served.
 */
export async function keepTrust(keeping: TrustKeeping, signal: AbortSignal): Promise<void> {
  const { source, tell, clock, logger } = keeping
  let told = { caBundle: '', atMs: 0 }
  while (!signal.aborted) {
    const tendedMs = await attempt(keeping, 'certificates not tended', signal, () => source.tend(signal))
    const { caBundle } = source.current
    const isDue = caBundle !== told.caBundle || clock.nowMs() - told.atMs >= tellAgainMs
    const toldMs = !isDue
      ? tellAgainMs
      : await attempt(keeping, 'authorities and webhooks not told of', signal, async () => {
          await tell(caBundle, signal)
          if (caBundle !== told.caBundle) logger.info('authorities told of')
          told = { caBundle, atMs: clock.nowMs() }
          await source.published(caBundle, signal)
          return tellAgainMs
        })
    const waitMs = Math.max(minWaitMs, Math.min(tendedMs, toldMs))
    await clock.sleep(waitMs, signal).catch(() => undefined)
  }
}

async function attempt(
  { logger }: TrustKeeping,
  complaint: string,
  signal: AbortSignal,
  work: () => Promise<number>,
): Promise<number> {
  try {
    return await work()
  } catch (error) {
    if (!signal.aborted) logger.warn(complaint, { err: toError(error) })
    return retryMs
  }
}

interface ConfigMap extends KubeObject {
  readonly data?: Readonly<Record<string, string>>
}

/** Writes the authorities where agents read them. */
export async function publishAuthorities(
  api: KubeApi,
  ref: { readonly namespace: string; readonly name: string },
  caBundle: string,
  signal: AbortSignal,
): Promise<void> {
  const resource = resources.configMap
  const data = { [trustNames.authoritiesKey]: caBundle }
  const found = await api.get<ConfigMap>(resource, ref, signal)
  if (found?.data?.[trustNames.authoritiesKey] === caBundle) return
  if (found === undefined) {
    const labels = { 'app.kubernetes.io/managed-by': 'spiderpool-controller' }
    const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { ...ref, labels }, data }
    try {
      await api.create<ConfigMap>(resource, object, signal)
      return
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 409) throw error
    }
  }
  await api.patch(resource, ref, { type: 'merge', body: { data } }, signal)
}
