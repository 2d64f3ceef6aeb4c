// Puts together what is shipped, from images/contents.ts: the root file system of an image, or the packed command line.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Contents, etcFiles, folders, type ImageName, images } from '../../images/contents.ts'
import { libraryEntries } from './debian.ts'
import { emit } from './emit.ts'
import type { Entry } from './entry.ts'
import { nativePrograms } from './native.ts'
import { lockedPackage } from './npm-package.ts'
import { packageEntries } from './packages.ts'
import type { Target } from './target.ts'

/** All of an image's root file system. */
export function imageEntries(root: string, name: ImageName, target: Target): readonly Entry[] {
  return [
    ...Object.entries(folders).map(([path, mode]): Entry => ({ kind: 'folder', path, mode })),
    { kind: 'link', path: '/var/run', to: '../run' },
    ...Object.entries(etcFiles).map(([path, text]): Entry => ({ kind: 'text', path, mode: 0o644, text })),
    ...libraryEntries(root, target),
    ...productEntries(root, images[name], target, '/app'),
  ]
}

/**
 * Node, the product's JavaScript and what it needs, below one folder.
 * @param prefix that folder's path, such as `/app`
 */
export function productEntries(
  root: string,
  contents: Contents,
  target: Target,
  prefix: string,
): readonly Entry[] {
  const emitted = emit(join(root, 'src'), contents.entries, contents.without)
  const node = lockedPackage(root, `node_modules/node-linux-${target.cpu}`)
  const native = contents.native.length === 0 ? '' : nativePrograms(root, target)
  const entries: readonly Entry[] = [
    { kind: 'copy', path: 'node', mode: 0o755, from: join(node, 'bin/node') },
    { kind: 'copy', path: 'LICENSE.node', mode: 0o644, from: join(node, 'LICENSE') },
    { kind: 'copy', path: 'LICENSE', mode: 0o644, from: join(root, 'LICENSE') },
    { kind: 'text', path: 'package.json', mode: 0o644, text: manifest(root) },
    ...[...emitted.files].map(([path, text]): Entry => ({ kind: 'text', path, mode: 0o644, text })),
    ...packageEntries(root, emitted.packages, target),
    ...contents.native.map(
      (name): Entry => ({ kind: 'copy', path: `native/${name}`, mode: 0o755, from: join(native, name) }),
    ),
  ]
  return entries.map((entry) => ({ ...entry, path: join(prefix, entry.path) }))
}

/** By this file Node takes the JavaScript for modules. */
export function manifest(root: string): string {
  const { name, version, license, type } = JSON.parse(
    readFileSync(join(root, 'package.json'), 'utf8'),
  ) as Record<string, string>
  return `${JSON.stringify({ name, version, license, type }, undefined, 2)}\n`
}
