// A real control plane on loopback, for tests and for a look by hand:
//   npm run control-plane -- build              makes the programs and prints their folder
//   npm run control-plane -- up --dir DIR       starts it and prints its state as JSON
//   npm run control-plane -- down --dir DIR
import { parseArgs } from 'node:util'
import { controlPlaneBinaries } from './binaries.ts'
import { controlPlaneDown, controlPlaneUp } from './control-plane.ts'
import { runControlPlane } from './daemon.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    dir: { type: 'string' },
    host: { type: 'string', default: '127.0.0.1' },
    audit: { type: 'string' },
  },
})
const [command] = positionals
const say = (line: string) => process.stderr.write(`${line}\n`)
const dir = (): string => {
  if (values.dir !== undefined) return values.dir
  say('control-plane: --dir is missing: name a folder for data, keys and logs')
  process.exit(2)
}

if (command === 'build') process.stdout.write(`${controlPlaneBinaries(say)}\n`)
else if (command === 'up') {
  controlPlaneBinaries(say)
  const state = controlPlaneUp(dir(), { host: values.host })
  process.stdout.write(`${JSON.stringify(state, undefined, 2)}\n`)
} else if (command === 'down') controlPlaneDown(dir())
else if (command === 'run') await runControlPlane(dir(), values.host, values.audit)
else {
  say(`control-plane: ${command ?? 'no command'}: use build, up or down`)
  process.exitCode = 2
}
