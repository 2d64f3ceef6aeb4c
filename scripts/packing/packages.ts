// What of node_modules is shipped: the packages that the product imports, what those need, and their licences.
import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import type { Entry } from './entry.ts'
import { lockedPackage } from './npm-package.ts'
import type { Target } from './target.ts'

interface Manifest {
  readonly dependencies?: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

const shipped = /\.(js|cjs|mjs|json|node)$|^(licen[cs]e|copying|notice|copyrightnotice)/i
// Of a package's own folders: documents, types, sources of native code, and what is for browsers or another C library.
const leftOut = /^(docs?|types|typings|vendor|browser|scripts|musl_.*)$/

/**
 * Files of packages and of their dependencies, as they lie below `node_modules/`.
 * @param root folder of the repository
 */
export function packageEntries(root: string, names: readonly string[], target: Target): readonly Entry[] {
  const found = new Map<string, string>()
  const queue = names.map((name) => ({ name, from: root }))
  for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
    const at = locate(root, next.name, next.from)
    if (found.has(at)) continue
    const folder = existsSync(join(root, at)) ? join(root, at) : lockedPackage(root, at)
    found.set(at, folder)
    const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest
    const needed = [
      ...Object.keys(manifest.dependencies ?? {}),
      ...Object.keys(manifest.optionalDependencies ?? {}).filter((name) =>
        name.endsWith(`-linux-${target.cpu}`),
      ),
    ]
    for (const name of needed) queue.push({ name, from: join(root, at) })
  }
  return [...found].flatMap(([at, folder]) => filesOf(at, folder))
}

/** As Node finds it: in the importing package, then above. A package for another processor lies at the top. */
function locate(root: string, name: string, from: string): string {
  for (let folder = from; folder.startsWith(root); folder = dirname(folder)) {
    const at = join(folder, 'node_modules', name)
    if (existsSync(at)) return relative(root, at)
  }
  return join('node_modules', name)
}

function filesOf(at: string, folder: string): readonly Entry[] {
  return globSync('**/*', { cwd: folder, withFileTypes: true })
    .filter((file) => file.isFile() && shipped.test(file.name))
    .map((file) => ({ name: file.name, below: relative(folder, file.parentPath) }))
    .filter(({ below }) => {
      const [top = ''] = below.split('/')
      return top !== 'node_modules' && !leftOut.test(top)
    })
    .map(({ name, below }) => ({
      kind: 'copy',
      path: join(at, below, name),
      mode: 0o644,
      from: join(folder, below, name),
    }))
}
