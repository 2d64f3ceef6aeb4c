import assert from 'node:assert/strict'
import test from 'node:test'
import { labCommands } from './lab-commands.ts'
import { lazyLab } from './lazy-lab.ts'
import { runCli } from './run-cli.ts'

async function run(load: Parameters<typeof lazyLab>[0], args: readonly string[]) {
  const lines: string[] = []
  const terminal = { print: (line: string) => lines.push(line), note: (line: string) => lines.push(line) }
  const code = await runCli(args, labCommands(lazyLab(load), {}), terminal, new AbortController().signal)
  return { code, text: lines.join('\n') }
}

void test('help loads no lab', async () => {
  const { code, text } = await run(() => Promise.reject(new TypeError('loaded')), ['lab', '--help'])
  assert.equal(code, 0)
  assert.match(text, /lab up/)
})

void test('a command of the lab says that there is none, and where there is one', async () => {
  const absent: string = './not-there.ts'
  const { code, text } = await run(() => import(absent), ['lab', 'status'])
  assert.equal(code, 1)
  assert.match(text, /packed without it\n.*npm run pack:cli/)
})

void test('what is wrong with a lab that is there is told as it is', async () => {
  const { text } = await run(() => Promise.reject(new TypeError('broken')), ['lab', 'status'])
  assert.match(text, /broken/)
})
