// A real control plane on loopback, for tests and for a look by hand.
import { parseArgs } from 'node:util'
import { controlPlaneBinaries } from './binaries.ts'
import { controlPlaneDown, controlPlaneUp } from './control-plane.ts'
import { runControlPlane } from './daemon.ts'

const usage = `npm run control-plane -- COMMAND
  build                         makes the programs and prints their folder
  up --dir DIR [--host IP]      starts it and prints its state as JSON
  down --dir DIR                ends it`
const say = (line: string) => process.stderr.write(`${line}\n`)

function readArguments() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        dir: { type: 'string' },
        host: { type: 'string', default: '127.0.0.1' },
        audit: { type: 'string' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
  } catch (error) {
    say(`control-plane: ${error instanceof Error ? error.message : String(error)}\n\n${usage}`)
    process.exit(2)
  }
}

const { values, positionals } = readArguments()
const [command] = positionals
const dir = (): string => {
  if (values.dir !== undefined) return values.dir
  say('control-plane: --dir is missing: name a folder for data, keys and logs')
  process.exit(2)
}

if (values.help) process.stdout.write(`${usage}\n`)
else if (command === 'build') process.stdout.write(`${controlPlaneBinaries(say)}\n`)
else if (command === 'up') {
  controlPlaneBinaries(say)
  const state = controlPlaneUp(dir(), { host: values.host })
  process.stdout.write(`${JSON.stringify(state, undefined, 2)}\n`)
} else if (command === 'down') controlPlaneDown(dir())
else if (command === 'run') await runControlPlane(dir(), values.host, values.audit)
else {
  say(`control-plane: there is no command "${command ?? ''}"\n\n${usage}`)
  process.exitCode = 2
}
