// JavaScript from TypeScript by erasing types, with the engine of Node that runs the sources otherwise. What is erased becomes
// blank, so that a line and column in a stack trace is the line and column of the source; there are no source maps to keep.
import { existsSync, readFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { dirname, join, normalize } from 'node:path'
import ts from 'typescript'

/** The JavaScript of some programs. */
export interface Emitted {
  /** Text by path below src/, such as `bin/agent.js`. */
  readonly files: ReadonlyMap<string, string>
  /** Names of the npm packages that the files import. */
  readonly packages: readonly string[]
}

interface Import {
  readonly name: string
  /** Where its quotes open. */
  readonly at: number
}

/**
 * Emits programs and all that they import.
 * @param source folder src/
 * @param entries files below it
 * @param without rooms to leave out
 */
export function emit(source: string, entries: readonly string[], without: readonly string[]): Emitted {
  const files = new Map<string, string>()
  const packages = new Set<string>()
  const queue = [...entries]
  for (let file = queue.pop(); file !== undefined; file = queue.pop()) {
    if (files.has(asJavaScript(file))) continue
    const script = stripTypeScriptTypes(readFileSync(join(source, file), 'utf8'))
    const imports = importsOf(script)
    files.set(asJavaScript(file), rename(script, imports))
    for (const { name } of imports) {
      if (name.startsWith('node:')) continue
      if (!name.startsWith('.')) {
        packages.add(packageOf(name))
        continue
      }
      const imported = normalize(join(dirname(file), name))
      if (!existsSync(join(source, imported))) throw new Error(`${file} imports ${name}, which is not there`)
      if (!without.includes(imported.split('/')[0] ?? '')) queue.push(imported)
    }
  }
  return { files: new Map([...files].sort(([a], [b]) => (a < b ? -1 : 1))), packages: [...packages].sort() }
}

function importsOf(script: string): readonly Import[] {
  return ts
    .preProcessFile(script, true, true)
    .importedFiles.map(({ fileName, pos }) => ({ name: fileName, at: pos }))
}

function rename(script: string, imports: readonly Import[]): string {
  let renamed = script
  for (const { name, at } of imports) {
    if (!name.startsWith('.')) continue
    const start = at + 1
    if (renamed.slice(start, start + name.length) !== name) throw new Error(`cannot find import ${name}`)
    renamed = renamed.slice(0, start) + asJavaScript(name) + renamed.slice(start + name.length)
  }
  return renamed
}

// Of the same length, so that the places of other imports stay.
function asJavaScript(path: string): string {
  return path.replace(/\.ts$/, '.js')
}

function packageOf(name: string): string {
  return name.split('/', name.startsWith('@') ? 2 : 1).join('/')
}
