import { mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type Logger, toError } from '../../base/index.ts'
import { decodeRequest, maxRequestBytes, type PluginAnswer, type PluginRequest } from './frame.ts'

/** What a look into the spool found. */
export interface SpoolReport {
  readonly replayed: number
  /** Set aside into `bad/`: unreadable, or refused by its handler for good. */
  readonly setAside: number
  /** Kept for the next time: what they ask failed. */
  readonly kept: number
}

const maxFiles = 20_000
const staleTempMs = 60_000
const atOnce = 8

/**
 * Replays the DELs that the pipe kept while the agent was away, oldest first (see native/cni-pipe.c). A file goes when its
 * request succeeded; an unreadable one is set aside and reported.
 */
export async function replaySpool(
  folder: string,
  handler: (request: PluginRequest) => Promise<PluginAnswer>,
  logger: Logger,
): Promise<SpoolReport> {
  await mkdir(join(folder, 'bad'), { recursive: true, mode: 0o700 })
  const names = (await readdir(folder)).sort().slice(0, maxFiles)
  const outcomes: Outcome[] = []
  for (let at = 0; at < names.length; at += atOnce) {
    const some = names.slice(at, at + atOnce)
    outcomes.push(...(await Promise.all(some.map((name) => replayOne({ folder, name }, handler, logger)))))
  }
  const count = (wanted: Outcome): number => outcomes.filter((outcome) => outcome === wanted).length
  return { replayed: count('replayed'), setAside: count('setAside'), kept: count('kept') }
}

type Outcome = 'replayed' | 'setAside' | 'kept' | 'none'

async function replayOne(
  file: { readonly folder: string; readonly name: string },
  handler: (request: PluginRequest) => Promise<PluginAnswer>,
  logger: Logger,
): Promise<Outcome> {
  const { folder, name } = file
  const path = join(folder, name)
  if (name.startsWith('.')) await removeStaleTemp(path)
  if (name.startsWith('.') || !name.endsWith('.req')) return 'none'
  const request = await readRequest(path, logger)
  const answer = request === undefined ? undefined : await handler(request)
  if (answer?.exitCode === 0) {
    await rm(path, { force: true })
    return 'replayed'
  }
  if (answer !== undefined && !isHopeless(answer)) return 'kept'
  logger.error('spooled request is set aside', { path, answer: answer?.stdout.slice(0, 500) })
  await rename(path, join(folder, 'bad', name))
  return 'setAside'
}

// A crash of the pipe in the middle of a write leaves one; a fresh one may still be in the making.
async function removeStaleTemp(path: string): Promise<void> {
  try {
    if (Date.now() - (await stat(path)).mtimeMs > staleTempMs) await rm(path, { force: true })
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error
  }
}

async function readRequest(path: string, logger: Logger): Promise<PluginRequest | undefined> {
  try {
    if ((await stat(path)).size > maxRequestBytes) return undefined
    const request = decodeRequest(await readFile(path))
    return request.env['CNI_COMMAND'] === 'DEL' ? request : undefined
  } catch (error) {
    logger.warn('spooled request is unreadable', { path, err: toError(error).message })
    return undefined
  }
}

// A bad environment does not get better by waiting (code 4).
function isHopeless(answer: PluginAnswer): boolean {
  return /"code":4[,}]/.test(answer.stdout)
}
