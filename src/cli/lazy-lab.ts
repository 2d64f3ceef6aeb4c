import { OperationError } from '../base/index.ts'
import type { LabPort } from './lab-commands.ts'

/** The images hold the command line without the lab. */
export class LabNotHereError extends OperationError {
  override readonly code = 'LAB_NOT_HERE'
  override readonly retry = 'never'
}

/**
 * The lab, loaded by the first command that uses it: the others start faster, and work where it was left out.
 * @param load imports it
 */
export function lazyLab(load: () => Promise<LabPort>): LabPort {
  const lab = async (): Promise<LabPort> => {
    try {
      return await load()
    } catch (cause) {
      if (!(cause instanceof Error && 'code' in cause && cause.code === 'ERR_MODULE_NOT_FOUND')) throw cause
      throw new LabNotHereError(
        'Cannot run a lab: this spiderpoolctl, of an image, was packed without it',
        'Use the repository or the packed command line (npm run pack:cli)',
        { cause },
      )
    }
  }
  return {
    up: async (options, report, signal) => (await lab()).up(options, report, signal),
    down: async (dir, report, signal) => (await lab()).down(dir, report, signal),
    status: async (dir) => (await lab()).status(dir),
    exec: async (dir, place, command) => (await lab()).exec(dir, place, command),
  }
}
