// The invariants' check of bench:scale: every address is answered once, and the ledger says the same as the answers.
import assert from 'node:assert/strict'
import { cidrContains, parseBlockName, parseIp } from '../../../src/address/index.ts'
import { resources, type SpiderEndpoint, type SpiderIpBlock } from '../../../src/api/index.ts'
import type { KubeApi } from '../../../src/kube/index.ts'
import { entriesOf } from '../../../src/ledger/index.ts'

const never = new AbortController().signal
/** A full block has some 60 KiB. */
const blocksAtOnce = 50

interface Owner {
  readonly name: string
  readonly uid: string
}

/** What the controller answered, and what the ledger had before. */
export class Answers {
  readonly #owners = new Map<string, Owner>()

  get size(): number {
    return this.#owners.size
  }

  /** @throws when an address has an owner already, or none was answered */
  note(pod: Owner, ips: readonly string[]): void {
    assert.equal(ips.length, 1, `pod ${pod.name} was answered ${ips.length} addresses`)
    for (const ip of ips) {
      assert.equal(this.#owners.get(ip), undefined, `${ip} was given to ${pod.name} and another pod`)
      this.#owners.set(ip, { name: pod.name, uid: pod.uid })
    }
  }

  /** Reads all blocks: each address once, in the block of its range, and owned by whom it was answered to; no other. */
  async requireLedger(api: KubeApi): Promise<void> {
    const found = new Map<string, string>()
    const visit = (block: SpiderIpBlock): SpiderIpBlock => {
      const { cidr } = parseBlockName(block.metadata.name)
      for (const [ip, entry] of Object.entries(entriesOf(block))) {
        assert.ok(cidrContains(cidr, parseIp(ip)), `${ip} is in block ${block.metadata.name}`)
        assert.equal(found.get(ip), undefined, `${ip} is in two blocks`)
        found.set(ip, `${entry.pod} ${entry.podUid}`)
      }
      return { metadata: { name: block.metadata.name }, spec: { cidr: '', term: 0 } }
    }
    await api.listAll<SpiderIpBlock>(resources.ipBlock, { limit: blocksAtOnce, keep: visit }, never)
    assert.deepEqual(sorted(found), sorted(this.#texts()))
  }

  /** Reads all endpoints: they show the same addresses. */
  async requireEndpoints(api: KubeApi): Promise<void> {
    const shown = new Map<string, string>()
    const visit = (endpoint: SpiderEndpoint): SpiderEndpoint => {
      const { uid, ips } = endpoint.status.current
      for (const { ipv4, ipv6 } of ips) {
        for (const text of [ipv4, ipv6]) {
          const ip = text?.split('/')[0] ?? ''
          if (ip !== '') shown.set(ip, `default/${endpoint.metadata.name} ${uid}`)
        }
      }
      return endpoint
    }
    await api.listAll<SpiderEndpoint>(resources.endpoint, { limit: 500, keep: visit }, never)
    assert.deepEqual(sorted(shown), sorted(this.#texts()))
  }

  #texts(): ReadonlyMap<string, string> {
    return new Map([...this.#owners].map(([ip, { name, uid }]) => [ip, `default/${name} ${uid}`]))
  }
}

const sorted = (owners: ReadonlyMap<string, string>): readonly string[] =>
  [...owners].map(([ip, owner]) => `${ip} ${owner}`).sort()
