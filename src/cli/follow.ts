import type { KubeObject, Resource } from '../api/index.ts'
import { silentLogger, systemClock } from '../base/index.ts'
import { type CacheOptions, createCache, type KubeApi } from '../kube/index.ts'
import type { FlagHelp } from './command.ts'

export const watchFlag: FlagHelp = {
  name: 'watch',
  short: 'w',
  text: 'print again when it changes, until interrupted',
}

/** Changes that come together are shown together. */
const gatherMs = 200

/** A kind whose changes matter, and which of its objects. */
export interface Followed {
  readonly resource: Resource
  readonly name?: string
}

/**
 * Prints what `render` gives, and again whenever that changes, until `signal` aborts: that is its end, and no error.
 * What changed is heard through watches of the API server; what is printed is read afresh.
 */
export async function follow(
  api: KubeApi,
  kinds: readonly Followed[],
  output: { render(signal: AbortSignal): Promise<string>; print(text: string): void },
  signal: AbortSignal,
): Promise<void> {
  let wake: (() => void) | undefined
  let isDirty = true
  const heard = (): void => {
    isDirty = true
    wake?.()
  }
  const caches = kinds.map(({ resource, name }) => {
    // Only that something changed is of interest, and not what it holds.
    const trim = ({ metadata }: KubeObject): KubeObject => ({ metadata })
    const options: CacheOptions<KubeObject> =
      name === undefined ? { trim } : { trim, fieldSelector: `metadata.name=${name}` }
    const cache = createCache<KubeObject>(api, resource, options, silentLogger)
    cache.onChange(heard)
    return cache
  })
  let shown: string | undefined
  try {
    while (!signal.aborted) {
      if (!isDirty) {
        const { promise, resolve } = Promise.withResolvers<void>()
        wake = resolve
        signal.addEventListener('abort', () => resolve(), { once: true })
        await promise
        await systemClock.sleep(gatherMs, signal)
      }
      isDirty = false
      const text = await output.render(signal)
      if (text !== shown) output.print(text)
      shown = text
    }
  } catch (error) {
    if (!signal.aborted) throw error
  } finally {
    await Promise.all(caches.map((cache) => cache.close()))
  }
}
