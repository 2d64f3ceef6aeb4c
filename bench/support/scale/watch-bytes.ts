// What a real API server's watches carry, by its own count.
import { administratorOf, type BareServer } from '../../../test/support/bare-server.ts'
import { serverUnderTest } from '../../../test/support/server-under-test.ts'
import { callHttps } from '../call-https.ts'

/**
 * Bytes of all watch events that the API server has sent since it started, to whomever; undefined when it is the lab's own, which does
 * not count.
 */
export async function watchBytes({ kubeconfig }: BareServer): Promise<number | undefined> {
  if (serverUnderTest !== 'real') return undefined
  const { url, ...tls } = administratorOf(kubeconfig)
  const text = await callHttps(`${url}/metrics`, tls)
  const sums = text.matchAll(/^apiserver_watch_events_sizes_sum\{[^}]*\} (\S+)$/gm)
  return [...sums].reduce((sum, [, value]) => sum + Number(value), 0)
}
