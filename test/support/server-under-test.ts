// Which API server a test file runs against: one suite, two servers.
import { type TestContext, test } from 'node:test'

/** `embedded`: the lab's own. `real`: etcd and kube-apiserver, see test/support/control-plane/. */
export type ServerName = 'embedded' | 'real'

const chosen = process.env['SPIDERPOOL_TEST_SERVER'] ?? 'embedded'
if (chosen !== 'embedded' && chosen !== 'real') {
  throw new Error(`SPIDERPOOL_TEST_SERVER is ${JSON.stringify(chosen)}: use embedded or real`)
}

/** Chosen by $SPIDERPOOL_TEST_SERVER. */
export const serverUnderTest: ServerName = chosen

/**
 * A test of what only one of the two servers has. The table of both columns lists it, and takes five such tests at most.
 * @param feature that the other server lacks
 */
export function onlyOn(
  server: ServerName,
  feature: string,
  name: string,
  body: (t: TestContext) => Promise<void> | void,
): void {
  const skip = serverUnderTest === server ? false : `only on ${server}: ${feature}`
  void test(name, { skip }, body)
}
