import assert from 'node:assert/strict'
import test from 'node:test'
import type { Command } from '../command.ts'
import { complete } from './complete.ts'

const command = (name: string, more: Partial<Command> = {}): Command => ({
  name,
  usage: '',
  summary: '',
  flags: [],
  run: () => Promise.resolve(0),
  ...more,
})
const flags: Command['flags'] = [
  { name: 'output', short: 'o', value: 'FORMAT', values: ['table', 'json'], text: '' },
  { name: 'watch', short: 'w', text: '' },
  { name: 'namespace', value: 'NAME', values: 'namespaces', text: '' },
  { name: 'seconds', value: 'N', text: '' },
]
const commands = [
  command('pool show', { flags, argument: 'pools' }),
  command('ip show', { flags }),
  command('ip history'),
  command('completion', { argument: ['bash', 'zsh'] }),
  command('__complete', { isHidden: true }),
]

const cases: readonly (readonly [string, readonly string[], readonly string[], string?])[] = [
  ['nothing yet', [''], ['completion', 'help', 'ip', 'pool']],
  ['a first word that is begun', ['p'], ['pool']],
  ['a group', ['ip', ''], ['history', 'show']],
  ['a flag', ['ip', 'show', '--'], ['--help', '--namespace', '--output', '--seconds', '--watch']],
  [
    'a flag, without those that are there',
    ['ip', 'show', '-w', '-o', 'json', '--'],
    ['--help', '--namespace', '--seconds'],
  ],
  ['a value of few', ['ip', 'show', '-o', ''], ['json', 'table']],
  ['a value behind "="', ['ip', 'show', '--output=t'], ['--output=table']],
  ['a value behind "=", as bash cuts it', ['ip', 'show', '--output', '=', 't'], ['table']],
  ['a value that nobody knows', ['ip', 'show', '--seconds', ''], []],
  ['a value that is a name', ['ip', 'show', '--namespace', 'x'], [], 'namespaces'],
  ['an argument that is a name', ['pool', 'show', ''], [], 'pools'],
  ['a second argument', ['pool', 'show', 'p1', ''], []],
  ['an argument after a value', ['pool', 'show', '-o', 'json', ''], [], 'pools'],
  ['an argument of few', ['completion', 'b'], ['bash']],
  ['what follows --', ['ip', 'show', '--', '--'], []],
  ['an unknown command', ['nosuch', ''], []],
]
for (const [what, line, words, names] of cases) {
  void test(`complete() completes ${what}`, () => {
    assert.deepEqual(complete(line, commands), names === undefined ? { words } : { words, names })
  })
}
