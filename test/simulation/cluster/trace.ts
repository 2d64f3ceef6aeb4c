const isOn = process.env['SIMULATION_TRACE'] !== undefined

/** Tells what happens in a history, when SIMULATION_TRACE is set: for a person who replays a seed. */
export function trace(nowMs: number, what: () => string): void {
  if (isOn) process.stderr.write(`${nowMs} ${what()}\n`)
}
