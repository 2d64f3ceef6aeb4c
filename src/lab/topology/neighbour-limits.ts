import { readFile, writeFile } from 'node:fs/promises'
import { parseJson } from '../../base/index.ts'

/**
 * Limits of the machine's neighbour tables. They count the entries of all namespaces together, so a thousand pods that
 * ping one gateway overflow the kernel's defaults (1024): "No buffer space available".
 */
const wanted: Readonly<Record<string, number>> = {
  gc_thresh1: 16_384,
  gc_thresh2: 32_768,
  gc_thresh3: 65_536,
}
const families = ['ipv4', 'ipv6']

function settingPath(name: string): string {
  return `/proc/sys/net/${name}`
}

/** Raises limits that are lower, and writes what they were to `keepFile`. */
export async function raiseNeighbourLimits(keepFile: string): Promise<void> {
  const old: Record<string, number> = {}
  const raised: Record<string, number> = {}
  for (const family of families) {
    for (const [limit, value] of Object.entries(wanted)) {
      const name = `${family}/neigh/default/${limit}`
      const now = Number(await readFile(settingPath(name), 'utf8'))
      if (now >= value) continue
      old[name] = now
      raised[name] = value
    }
  }
  await writeFile(keepFile, JSON.stringify(old), { mode: 0o600 })
  for (const [name, value] of Object.entries(raised)) await writeFile(settingPath(name), String(value))
}

/** Puts the limits back that `raiseNeighbourLimits` changed, unless somebody has set others since. */
export async function restoreNeighbourLimits(keepFile: string): Promise<void> {
  for (const [name, value] of Object.entries(await readKept(keepFile))) {
    const limit = name.split('/').at(-1) ?? ''
    const now = Number(await readFile(settingPath(name), 'utf8'))
    if (now === wanted[limit]) await writeFile(settingPath(name), String(value))
  }
}

const namePattern = /^ipv[46]\/neigh\/default\/gc_thresh[123]$/

async function readKept(keepFile: string): Promise<Readonly<Record<string, number>>> {
  try {
    const value = parseJson(await readFile(keepFile, 'utf8'))
    if (typeof value !== 'object' || value === null) return {}
    const entries = Object.entries(value)
    return Object.fromEntries(
      entries.filter(
        (entry): entry is [string, number] => namePattern.test(entry[0]) && Number.isInteger(entry[1]),
      ),
    )
  } catch {
    return {} // never raised, or killed before anything was raised
  }
}
