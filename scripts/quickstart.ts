// `npm run quickstart [-- --check]`: from a bare machine to pods on an underlay network, shown from kernel state and packets.
import { existsSync, readFileSync, realpathSync } from 'node:fs'
import { release } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Kernel } from './quickstart/kernel.ts'
import { findKubectl, Kubectl } from './quickstart/kubectl.ts'
import { isLabRunning, labDown, labUp } from './quickstart/lab.ts'
import { pingTable } from './quickstart/pings.ts'
import { bold, print } from './quickstart/screen.ts'
import { type Tally, Tour } from './quickstart/tour.ts'
import { setUpMachine } from './setup.ts'

const usage = `npm run quickstart -- [--check] [--kubeconfig FILE]

Starts a lab on this machine and shows the chapters of the affinity document in it.
  --check            take the lab down at the end; the exit code is not 0 if anything is not so
  --kubeconfig FILE  run the nodes against this API server instead of the embedded one
Environment: KUBECTL, the kubectl to use; SPIDERPOOL_LAB_DIR, the folder of the lab (/var/lib/spiderpool-lab)`

interface Options {
  readonly isCheck: boolean
  readonly dir: string
  readonly kubeconfig: string | undefined
}

const defaultDir = '/var/lib/spiderpool-lab'
// A check makes and removes a lab of its own, so that it never removes one that somebody works with.
const checkDir = '/var/lib/spiderpool-lab-check'

function readArguments() {
  try {
    return parseArgs({
      options: {
        check: { type: 'boolean', default: false },
        kubeconfig: { type: 'string' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
  } catch (error) {
    process.stderr.write(
      `quickstart: ${error instanceof Error ? error.message : String(error)}\n\n${usage}\n`,
    )
    process.exit(2)
  }
}

function readOptions(): Options | undefined {
  const { values } = readArguments()
  if (values.help) return undefined
  const dir = process.env['SPIDERPOOL_LAB_DIR'] ?? (values.check ? checkDir : defaultDir)
  return { isCheck: values.check, dir, kubeconfig: values.kubeconfig }
}

function osName(): string {
  try {
    return /^PRETTY_NAME="?([^"\n]+)/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'Linux'
  } catch {
    return 'Linux'
  }
}

/** `used`: it ran before, and somebody may have things of his own in it. */
type Start = 'fresh' | 'used' | 'none'

async function startLab(options: Options): Promise<Start> {
  if (await isLabRunning(options.dir)) {
    if (options.isCheck) {
      print(`A lab runs in ${options.dir}: a check needs one of its own. Stop it: spiderpoolctl lab down`)
      return 'none'
    }
    print(
      `A lab runs in ${options.dir} already: going on with it, after removing what is of the document in it.`,
    )
    return 'used'
  }
  if (options.isCheck && existsSync(options.dir)) await labDown(options.dir)
  if (await labUp(options.dir, options.kubeconfig)) return options.kubeconfig === undefined ? 'fresh' : 'used'
  // What a failed start leaves is there to be looked at, but not after a check.
  if (options.isCheck) await labDown(options.dir)
  return 'none'
}

async function walk(options: Options, isFresh: boolean, signal: AbortSignal): Promise<Tally | undefined> {
  const kubectlPath = findKubectl()
  if (kubectlPath === undefined) {
    print('kubectl was not found: name it with KUBECTL=/path/to/kubectl')
    return undefined
  }
  const dir = realpathSync(options.dir)
  const kubeconfig = options.kubeconfig ?? join(dir, 'kubeconfig')
  const kubectl = await Kubectl.open(kubectlPath, kubeconfig, join(dir, 'kubectl-cache'))
  print(`kubectl ${kubectl.version} (${kubectl.path})`)
  if (kubectl.isOld) print('It is an old one: manifests are applied without client-side validation.')
  const tour = new Tour({ kubectl, kernel: new Kernel(dir), isFresh }, signal)
  if (!isFresh) await tour.cleanAll()
  await tour.walk()
  return tour.tally()
}

function summarise({ passed, failed, pings }: Tally, seconds: string): void {
  print()
  print(bold('Pings, counted by the receiver'))
  for (const line of pingTable(pings)) print(`  ${line}`)
  print()
  const verdict = failed.length === 0 ? 'all of them so' : `${failed.length} not so:`
  print(bold(`${passed + failed.length} checks in ${seconds} s, ${verdict}`))
  for (const name of failed) print(`  ✗ ${name}`)
}

function whatNext(dir: string): void {
  const tool = 'npm run -s spiderpoolctl --'
  const folder = dir === defaultDir ? '' : ` --dir ${dir}`
  print(`
${bold('The lab keeps running. What to try next')}
  export KUBECONFIG=${join(dir, 'kubeconfig')}
  kubectl apply -f docs/examples/affinity/02-test-pod-ippool.yaml -f docs/examples/affinity/03-test-app-3.yaml
  kubectl get pods -o wide; kubectl get spiderippools,spiderendpoints
  kubectl scale deployment/test-app-3 --replicas=11   # one more than the pool has: describe it
  kubectl get spideripblocks -o yaml                  # the ledger: who owns which address
  ${tool} lab status${folder}
  ${tool} lab exec${folder} node:node1 -- ip address  # look around in a node, or in a pod: NAMESPACE/POD
  ${tool} lab down${folder}                           # removes every process, namespace and file of it`)
}

async function main(options: Options, signal: AbortSignal): Promise<number> {
  const startedMs = performance.now()
  print(bold('Spiderpool: pods on a real underlay, on one machine'))
  print(`${osName()}, kernel ${release()}, Node ${process.versions.node}`)
  setUpMachine()
  let tally: Tally | undefined
  let isRemoved = true
  let start: Start = 'none'
  try {
    start = await startLab(options)
    if (start !== 'none') tally = await walk(options, start === 'fresh', signal)
    if (tally !== undefined) summarise(tally, ((performance.now() - startedMs) / 1000).toFixed(1))
  } catch (error) {
    if (!signal.aborted) throw error
    print('\nInterrupted.')
  } finally {
    if (options.isCheck && start !== 'none') {
      print()
      isRemoved = await labDown(options.dir)
    }
  }
  if (tally === undefined) return 1
  if (!options.isCheck) whatNext(options.dir)
  return tally.failed.length === 0 && isRemoved ? 0 : 1
}

const stopping = new AbortController()
process.on('SIGINT', () => stopping.abort())
process.on('SIGTERM', () => stopping.abort())
const options = readOptions()
if (options === undefined) print(usage)
else process.exitCode = await main(options, stopping.signal)
