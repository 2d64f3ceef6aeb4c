/** A bug to plant in a copy of the code: texts that must be there, exactly once, and what takes their place. */
export interface PlantedBug {
  readonly name: string
  readonly edits: readonly { readonly file: string; readonly from: string; readonly to: string }[]
}

const bug = (name: string, file: string, from: string, to: string): PlantedBug => ({
  name,
  edits: [{ file: `src/${file}`, from, to }],
})

const releases = 'controller/allocator/releases.ts'

/** Each of them the checker of the simulation must find. */
export const plantedBugs: readonly PlantedBug[] = [
  bug(
    'freed by name instead of uid',
    releases,
    'await ledger.free(this.#withUnattached(share), signal)',
    "await ledger.free(ledger.ofPod(share[0]?.entry.pod ?? ''), signal)",
  ),
  bug(
    'answered before commit',
    'ledger/blocks/block-worker.ts',
    'const result = await this.#write(round, waiting)',
    'finish(waiting, round)\n      const result = await this.#write(round, waiting)',
  ),
  bug(
    'a stale cache convicts',
    'controller/reclaim/reclaimer.ts',
    'return findingOf(await this.#ports.api.get<Pod>(resources.pod, refOf(podKey), signal))',
    'return findingOf(this.#ports.findPod(refOf(podKey)))',
  ),
  bug(
    'a DEL frees while its pod lives',
    releases,
    'if (isNowhere || (same !== undefined && isAlive(same))) return { isOver: false }',
    'if (isNowhere) return { isOver: false }',
  ),
  bug(
    'half an intent is answered',
    'ledger/transactions.ts',
    "const isDone = outcomes.every(({ kind }) => kind === 'done') &&",
    "const isDone = outcomes.some(({ kind }) => kind === 'done') ||",
  ),
  bug(
    'reserved addresses are ignored after an edit',
    'controller/cluster-world.ts',
    'reservationsChanged(): void {\n    this.#reservedIps = undefined\n',
    'reservationsChanged(): void {\n',
  ),
  bug(
    'an undo frees what was there before',
    'ledger/ledger.ts',
    'this.#transactions.free(takenBy(entries, sandbox))',
    'this.#transactions.free(entries)',
  ),
  bug(
    'a replica is given the addresses of another ordinal',
    'controller/allocator/owner.ts',
    'name, uid: owner.uid, replica }',
    'name, uid: owner.uid, replica: String(Number(replica) >> 1) }',
  ),
  bug(
    'a takeover without fencing: an old leader writes on what it has not read',
    'controller/allocator/store/kube-block-store.ts',
    'const body = { metadata: { resourceVersion }, spec:',
    'const body = { metadata: {}, spec:',
  ),
  bug(
    'reports of nodes count in whatever order they come',
    'controller/reclaim/node-reports.ts',
    'return known.madeAfterMs !== undefined && known.madeAfterMs > sinceMs ?',
    'return sinceMs > 0 ?',
  ),
  {
    name: 'a doubled DEL detaches a newer sandbox',
    edits: [
      {
        file: 'src/ledger/entry.ts',
        from: 'some((one) => one.containerId === containerId && one.node === node)',
        to: 'some((one) => containerId !== undefined && one.node === node)',
      },
      {
        file: 'src/ledger/sharing.ts',
        from: 'filter((one) => one.containerId !== containerId || one.node !== node)',
        to: 'filter((one) => containerId === undefined || one.node !== node)',
      },
      {
        file: `src/${releases}`,
        from: 'if (held.some(({ ip }) => !freed.includes(ip))) await ledger.detach',
        to: 'if (held.length === 0 || held.some(({ ip }) => !freed.includes(ip))) await ledger.detach',
      },
    ],
  },
  bug(
    'the journal is not on disk before the allocator is asked',
    'agent/ipam/ipam-plugin.ts',
    "await this.#ports.journal.write(entry)\n      steps.end('journal')",
    "void this.#ports.journal.write(entry)\n      steps.end('journal')",
  ),
]
