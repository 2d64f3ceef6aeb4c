import assert from 'node:assert/strict'
import { test } from 'node:test'
import { blockOf, parseIp } from '../../address/index.ts'
import type { BlockEntry, KubeObject, Resource } from '../../api/index.ts'
import type { KubeApi } from '../../kube/index.ts'
import { blockSizes, formatBlock } from '../../ledger/index.ts'
import { release } from './release.ts'

const never = new AbortController().signal
const address = parseIp('10.6.0.10')
const machine = { kind: 'sticky', group: 'kubevirt.io', name: 'vm1' } as const
const adopted: BlockEntry = {
  ...{ pool: 'p', nic: '', pod: 'default/vm1', podUid: 'P-a', node: 'node1', since: 1 },
  owner: { ...machine, ownerKind: 'VirtualMachineInstance', uid: '', replica: 'default/vm1' },
  grant: { prefixBits: 16 },
  adopted: 'record',
}

/** Releases the address for good, without force. @returns the plan, and whether the block was written */
async function releaseOf(entry: BlockEntry, objects: readonly (KubeObject & { readonly kind: string })[]) {
  const made = formatBlock(blockOf(address, blockSizes), { term: 3, entries: { '10.6.0.10': entry } })
  const block = { ...made, metadata: { ...made.metadata, resourceVersion: '7' } }
  let isWritten = false
  const api = {
    get: ({ kind }: Resource, { name }: { name: string }) =>
      Promise.resolve(
        kind === 'SpiderIPBlock'
          ? block
          : objects.find((one) => one.kind === kind && one.metadata.name === name),
      ),
    listAll: ({ kind }: Resource) => Promise.resolve({ items: objects.filter((one) => one.kind === kind) }),
    replace: (_: Resource, object: KubeObject) => {
      isWritten = true
      return Promise.resolve(object)
    },
  } as unknown as KubeApi
  const { plan } = await release(address, { isMeant: true, isForced: false, nowMs: () => 5 }, api, never)
  return { plan, isWritten }
}

const of = (kind: string, name: string, uid: string) => ({
  kind,
  metadata: { name, namespace: 'default', uid },
})

void test('ip release leaves the address of a virtual machine that is there, also by its name alone', async () => {
  for (const objects of [
    [of('VirtualMachineInstance', 'vm1', 'I1'), of('VirtualMachine', 'vm1', 'V1')],
    [of('VirtualMachine', 'vm1', 'V1')],
    [{ ...of('Pod', 'launcher', 'P-a'), spec: {}, status: { phase: 'Running' } }],
  ]) {
    const { plan, isWritten } = await releaseOf(adopted, objects)
    assert.deepEqual([plan.kind, isWritten], ['refuse', false], JSON.stringify(objects))
  }
  const own = { ...adopted, owner: { ...machine, ownerKind: 'VirtualMachine', uid: 'V1', replica: 'vm1' } }
  assert.equal((await releaseOf(own, [of('VirtualMachine', 'vm1', 'V1')])).plan.kind, 'refuse')
})

void test('ip release frees the address of a virtual machine that is gone, or was made again', async () => {
  assert.deepEqual((await releaseOf(adopted, [])).isWritten, true)
  const own = { ...adopted, owner: { ...machine, ownerKind: 'VirtualMachine', uid: 'V1', replica: 'vm1' } }
  assert.deepEqual((await releaseOf(own, [of('VirtualMachine', 'vm1', 'V2')])).isWritten, true)
})
