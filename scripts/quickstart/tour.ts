// Walks through the chapters: carries out their steps, runs their checks, and cleans up after each.
import { type Chapter, chapters, type Step } from './chapters.ts'
import { type Check, runCheck, type Sight } from './check.ts'
import type { Ran } from './kubectl.ts'
import { type Described, describe, documentsOf, manifestPath, readManifest } from './manifests.ts'
import { type PingRow, pingCheck } from './pings.ts'
import { nothingLeft } from './probes.ts'
import { bold, command, failed, passed, print } from './screen.ts'

/** What came of all checks. */
export interface Tally {
  readonly passed: number
  readonly failed: readonly string[]
  readonly pings: readonly PingRow[]
}

const poolKind = 'SpiderIPPool'
const deleteTimeout = '--timeout=60s'

/** One walk through the document. */
export class Tour {
  readonly #sight: Sight
  readonly #signal: AbortSignal
  readonly #failed: string[] = []
  readonly #pings: PingRow[] = []
  #passed = 0

  constructor(sight: Sight, signal: AbortSignal) {
    this.#sight = sight
    this.#signal = signal
  }

  tally(): Tally {
    return { passed: this.#passed, failed: this.#failed, pings: this.#pings }
  }

  /** All chapters; one that went wrong does not keep the others from being shown. */
  async walk(): Promise<void> {
    for (const [index, chapter] of chapters.entries()) {
      this.#signal.throwIfAborted()
      print()
      print(bold(`${index + 1}  ${chapter.title}`))
      for (const step of chapter.steps) {
        if (!(await this.#take(step))) break
      }
      await this.clean(chapter)
      await this.#check(nothingLeft(objectsOf(chapter)))
    }
  }

  /** Removes what an interrupted walk left, and nothing that is not of the document. */
  async cleanAll(): Promise<void> {
    for (const chapter of chapters) await this.clean(chapter)
  }

  /** Workloads first: a pool goes when nobody has an address of it. */
  async clean(chapter: Chapter): Promise<void> {
    const { kubectl } = this.#sight
    const remove = (args: readonly string[], input = '') =>
      kubectl.run(['delete', ...args, '--ignore-not-found', deleteTimeout], input)
    const documents = documentsIn(chapter)
    const isPool = (document: string) => describe(document).kind === poolKind
    const workloads = documents.filter((document) => !isPool(document))
    await remove(['-f', '-'], workloads.join('\n---\n'))
    if (chapter.namespaces.length > 0) await remove(['namespace', ...chapter.namespaces])
    await remove(['-f', '-'], documents.filter(isPool).join('\n---\n'))
  }

  /** @returns false when what follows makes no sense any more */
  async #take(step: Step): Promise<boolean> {
    this.#signal.throwIfAborted()
    switch (step.do) {
      case 'send':
        return this.#send(step)
      case 'namespace':
        return this.#createNamespace(step.name)
      case 'delete': {
        const args = ['delete', '-f', manifestPath(step.file), deleteTimeout]
        const ran = await this.#sight.kubectl.run(
          ['delete', '-f', '-', deleteTimeout],
          readManifest(step.file),
        )
        return this.#must(args, ran)
      }
      case 'check':
        await this.#check(step.check)
        return true
      case 'ping':
        await this.#check(pingCheck(step.kinds, (rows) => this.#pings.push(...rows)))
        return true
      default:
        return step satisfies never
    }
  }

  #send(step: Step & { readonly do: 'send' }): Promise<boolean> {
    const { verb, file, change } = step
    const says = change === undefined ? '' : `   # ${change.says}`
    const text = change?.text ?? readManifest(file)
    const sent = this.#sight.kubectl.send(verb, text)
    return sent.then((ran) => this.#must([verb, '-f', `${manifestPath(file)}${says}`], ran))
  }

  async #createNamespace(name: string): Promise<boolean> {
    const manifest = `apiVersion: v1\nkind: Namespace\nmetadata:\n  name: ${name}\n`
    return this.#must(['create', 'namespace', name], await this.#sight.kubectl.send('create', manifest))
  }

  #must(args: readonly string[], ran: Ran): boolean {
    const text = `kubectl ${args.join(' ')}`
    command(text)
    if (ran.status === 0) return true
    const seen = `${ran.stdout}${ran.stderr}`.trim()
    this.#failed.push(text)
    failed(text, {
      expected: 'exit code 0',
      seen,
      look: 'the message above; the rest of this chapter is left out',
    })
    return false
  }

  async #check(check: Check): Promise<void> {
    const { seen, tookMs } = await runCheck(check, this.#sight, this.#signal)
    if (seen.isSo) {
      this.#passed += 1
      passed(check.name, seen.what, tookMs)
      return
    }
    this.#failed.push(check.name)
    failed(check.name, { expected: check.expected, seen: seen.what, look: check.look })
  }
}

/** The documents that a chapter sends, each once. */
function documentsIn(chapter: Chapter): readonly string[] {
  const files = new Set(chapter.steps.flatMap((step) => (step.do === 'send' ? [step.file] : [])))
  return [...files].flatMap((file) => documentsOf(readManifest(file)))
}

function objectsOf(chapter: Chapter): readonly Described[] {
  return documentsIn(chapter).map(describe)
}
