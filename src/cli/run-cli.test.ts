import assert from 'node:assert/strict'
import test from 'node:test'
import { type LabPort, type LabView, labCommands } from './lab-commands.ts'
import { runCli } from './run-cli.ts'

const signal = new AbortController().signal

class RecordedLab implements LabPort {
  readonly calls: string[] = []
  view: LabView = {
    kind: 'running',
    detail: '',
    dir: '/lab',
    kubeconfig: '/lab/kubeconfig',
    nodes: ['master'],
    placeIps: { switch: ['10.6.0.1'] },
    processes: [{ name: 'controller', pid: 7, isAlive: true, restartCount: 2, lastEnd: 'SIGKILL' }],
    pods: [{ node: 'master', namespace: 'default', name: 'web', ips: ['10.6.0.50'], isRunning: true }],
  }

  async up(options: Parameters<LabPort['up']>[0], report: (line: string) => void) {
    this.calls.push(`up ${JSON.stringify(options)}`)
    report('step')
    return { dir: options.dir, kubeconfig: `${options.dir}/kubeconfig`, nodes: options.nodes }
  }

  async down(dir: string) {
    this.calls.push(`down ${dir}`)
    return { wasThere: true, processCount: 5, namespaceCount: 4 }
  }

  async status(): Promise<LabView> {
    return this.view
  }

  async exec(dir: string, place: string, command: readonly string[]): Promise<number> {
    this.calls.push(`exec ${dir} ${place} ${command.join(' ')}`)
    return 3
  }
}

async function call(...args: readonly string[]) {
  const lab = new RecordedLab()
  const out: string[] = []
  const err: string[] = []
  const terminal = {
    print: (line: string) => void out.push(line),
    note: (line: string) => void err.push(line),
  }
  const code = await runCli(args, labCommands(lab, { SPIDERPOOL_LAB_DIR: '/lab' }), terminal, signal)
  return { code, out: out.join('\n'), err: err.join('\n'), calls: lab.calls }
}

void test('lab up names three nodes and the folder of the environment when nothing else is said', async () => {
  const { code, out, err, calls } = await call('lab', 'up')
  assert.deepEqual(calls, ['up {"dir":"/lab","nodes":["master","node1","node2"]}'])
  assert.equal(code, 0)
  assert.match(out, /export KUBECONFIG=\/lab\/kubeconfig/)
  assert.equal(err, '  step')
})

void test('lab up passes on what it is told', async () => {
  const { calls } = await call('lab', 'up', '--dir', '/x', '--nodes=a,b', '--port', '7443')
  assert.deepEqual(calls, ['up {"dir":"/x","nodes":["a","b"],"port":7443}'])
})

const refused: readonly (readonly [string, readonly string[], RegExp])[] = [
  ['an unknown flag', ['lab', 'up', '--node', 'a'], /arguments .*--node.*\n.*--help/],
  ['a doubled flag', ['lab', 'up', '--dir', 'a', '--dir', 'b'], /--dir .*given twice\n.*once/],
  ['an empty flag', ['lab', 'up', '--nodes', ''], /--nodes "": it is empty\n/],
  [
    'a port that is no number',
    ['lab', 'up', '--port', '0x1f'],
    /--port "0x1f": it is out of range\n.*1 to 65535/,
  ],
  ['a port beyond the last', ['lab', 'up', '--port', '65536'], /--port "65536"/],
  ['a port for a foreign API server', ['lab', 'up', '--port', '1', '--kubeconfig', 'f'], /does not go with/],
  ['a stray argument', ['lab', 'down', 'now'], /argument "now": it is not expected/],
  ['exec without a place', ['lab', 'exec'], /PLACE/],
  ['exec without a command', ['lab', 'exec', 'web'], /COMMAND .*missing\n.*lab exec web -- ip address/],
  ['exec without --', ['lab', 'exec', 'web', 'ip', 'a'], /COMMAND "ip a".*\n.*lab exec web -- ip a$/],
  ['ping with one end', ['lab', 'ping', 'web'], /TO "": it is missing\n.*lab ping web 10\.6\.0\.1/],
  ['ping without ends', ['lab', 'ping'], /FROM "": it is missing/],
  ['ping to nowhere', ['lab', 'ping', 'web', 'wep'], /TO "wep": it is no place of the lab\n.*lab status/],
  ['half of a command', ['lab'], /"lab" alone is no command\nUsage:/],
  ['an unknown command', ['lab', 'upp'], /no command "lab upp"\nUsage:/],
]
for (const [what, args, expected] of refused) {
  void test(`${what} is refused with exit code 2, the value and the remedy`, async () => {
    const { code, err, calls } = await call(...args)
    assert.equal(code, 2)
    assert.match(err, expected)
    assert.deepEqual(calls, [])
  })
}

void test('help is printed for the program, a group and a command', async () => {
  for (const args of [['--help'], ['help'], ['lab', '--help'], ['lab', 'up', '--help']]) {
    const { code, out } = await call(...args)
    assert.equal(code, 0, args.join(' '))
    assert.match(out, /^Usage: spiderpoolctl /)
  }
  assert.equal((await call()).code, 2)
})

void test('lab exec gives the exit code of its command, whose own flags are left alone', async () => {
  const { code, calls } = await call('lab', 'exec', 'kube-system/x', '--', 'ip', '--help')
  assert.equal(code, 3)
  assert.deepEqual(calls, ['exec /lab kube-system/x ip --help'])
})

void test('lab ping finds the address of a pod and of the gateway', async () => {
  const { calls } = await call('lab', 'ping', 'switch', 'web', '--count', '5')
  assert.deepEqual(calls, ['exec /lab switch ping -n -c 5 -i 0.2 -W 2 10.6.0.50'])
  const gateway = await call('lab', 'ping', 'web', 'switch')
  assert.deepEqual(gateway.calls, ['exec /lab web ping -n -c 3 -i 0.2 -W 2 10.6.0.1'])
})

void test('lab status shows processes and pods as tables', async () => {
  const { code, out } = await call('lab', 'status')
  assert.equal(code, 0)
  assert.equal(
    out,
    [
      'The lab runs',
      '  export KUBECONFIG=/lab/kubeconfig',
      '',
      'PROCESS      PID   RESTARTS   LAST END',
      'controller   7     2          SIGKILL',
      '',
      'NODE     NAMESPACE   POD   IPS         PROCESS',
      'master   default     web   10.6.0.50   yes',
    ].join('\n'),
  )
})
