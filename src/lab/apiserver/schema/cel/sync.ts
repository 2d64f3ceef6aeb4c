import type { Environment } from '@marcbachmann/cel-js'

type Handler = (...values: never[]) => unknown

/** Registers functions that are known to be synchronous, so that the evaluator never waits for a promise. */
export function sync(env: Environment): (signature: string, handler: Handler) => void {
  return (signature, handler) => {
    env.registerFunction(signature, handler, { async: false })
  }
}
