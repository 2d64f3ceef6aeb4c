import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { accessCases } from './kube-api/access.ts'
import { customCases } from './kube-api/custom.ts'
import { type ApiUnderTest, type Check, Kit } from './kube-api/kit.ts'
import { listCases } from './kube-api/lists.ts'
import { objectCases } from './kube-api/objects.ts'
import { patchCases } from './kube-api/patches.ts'

export type { ApiUnderTest }

/**
 * What any Kubernetes API server has to answer, as far as this project relies on it. The embedded server and a real
 * kube-apiserver (1.30 or newer) have to pass the same cases.
 *
 * @param name of the server, for the report
 * @param start gives a server to write to; called once
 * @param deviations names of cases that this server is known not to meet: each has to fail, so that the list stays true
 */
export function kubeApiConformance(
  name: string,
  start: () => Promise<ApiUnderTest>,
  deviations: readonly string[] = [],
): void {
  const unmet = new Set(deviations)
  const check: Check = (title, body) => {
    if (!unmet.delete(title)) return void test(title, body)
    void test(`known deviation: ${title}`, async (t) => {
      await assert.rejects(body(t), () => true, 'it is met now: take it off the list of deviations')
    })
  }
  void describe(`Kubernetes API: ${name}`, () => {
    let kit: Kit | undefined
    const get = (): Kit => {
      if (kit === undefined) throw new Error('the server did not start')
      return kit
    }
    before(async () => {
      kit = new Kit(await start())
    })
    after(async () => {
      await kit?.close()
    })
    void describe('objects', () => objectCases(get, check))
    void describe('patches', () => patchCases(get, check))
    void describe('lists and watches', () => listCases(get, check))
    void describe('custom resources', () => customCases(get, check))
    void describe('access', () => accessCases(get, check))
    void test('every deviation on the list names a case', () => assert.deepEqual([...unmet], []))
  })
}
