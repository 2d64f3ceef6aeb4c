// A benchmark that is stopped takes down what it started.
const signals = { SIGINT: 2, SIGTERM: 15 } as const

/** Runs `clear` when the process is told to end, and ends it then. @returns what to call when nothing is left to clear */
export function whenStopped(clear: () => void | Promise<void>): () => void {
  const handlers = Object.entries(signals).map(([name, number]) => {
    const stop = async (): Promise<void> => {
      process.stderr.write(`${name}: taking down what was started\n`)
      try {
        await clear()
      } finally {
        process.exit(128 + number)
      }
    }
    const handler = () => void stop()
    process.once(name, handler)
    return { name, handler }
  })
  return () => {
    for (const { name, handler } of handlers) process.off(name, handler)
  }
}
