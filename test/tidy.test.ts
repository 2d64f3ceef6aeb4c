// What no linter checks: sizes, docstrings of the front doors, notes of fixtures, TODOs with a number, folders of one room.
import assert from 'node:assert/strict'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import test from 'node:test'
import ts from 'typescript'

const root = dirname(import.meta.dirname)
const sources = globSync(['src/**/*.ts', 'scripts/**/*.ts', 'test/**/*.ts', 'bench/**/*.ts', 'images/*.ts'], {
  cwd: root,
}).sort()
const product = sources.filter((file) => file.startsWith('src/') && !file.endsWith('.test.ts'))
const maxColumns = 110
const maxFileLines = 500
const maxFunctionLines = 60
const maxFilesInFolder = 15

const parsed = new Map<string, ts.SourceFile>()
function parse(file: string): ts.SourceFile {
  const known = parsed.get(file)
  if (known !== undefined) return known
  const text = readFileSync(join(root, file), 'utf8')
  const tree = ts.createSourceFile(file, text, ts.ScriptTarget.ESNext, true)
  parsed.set(file, tree)
  return tree
}

function lineOf(tree: ts.SourceFile, position: number): number {
  return tree.getLineAndCharacterOfPosition(position).line + 1
}

void test('no code line is longer than 110 columns, no file longer than 500 lines', () => {
  const found: string[] = []
  for (const file of sources) {
    const lines = readFileSync(join(root, file), 'utf8').split('\n')
    if (lines.length > maxFileLines + 1) found.push(`${file}: ${lines.length} lines`)
    lines.forEach((line, index) => {
      // A long literal (an expected message, a key) is not broken: searching for it must find it.
      const isLiteral = /['"`].{50,}['"`]|^\s*(\/\/|\*|\/\*\*)|\/.{30,}\//.test(line)
      if (line.length > maxColumns && !isLiteral) found.push(`${file}:${index + 1}: ${line.length} columns`)
    })
  }
  assert.deepEqual(found, [])
})

void test('no function of the product is longer than 60 lines', () => {
  const found: string[] = []
  for (const file of product) {
    const tree = parse(file)
    const visit = (node: ts.Node): void => {
      if (ts.isFunctionLike(node) && 'body' in node && node.body !== undefined) {
        const lines = lineOf(tree, node.end) - lineOf(tree, node.getStart()) + 1
        if (lines > maxFunctionLines) found.push(`${file}:${lineOf(tree, node.getStart())}: ${lines} lines`)
      }
      ts.forEachChild(node, visit)
    }
    visit(tree)
  }
  assert.deepEqual(found, [])
})

void test('a folder of the product holds at most 15 source files', () => {
  const counts = new Map<string, number>()
  for (const file of product) counts.set(dirname(file), (counts.get(dirname(file)) ?? 0) + 1)
  assert.deepEqual(
    [...counts].filter(([, count]) => count > maxFilesInFolder),
    [],
  )
})

void test('a TODO carries an issue number', () => {
  const found = sources.filter((file) => {
    if (file === relative(root, import.meta.filename)) return false
    return /\b(TODO|FIXME|XXX)\b(?!\s*\(#\d+\))/.test(readFileSync(join(root, file), 'utf8'))
  })
  assert.deepEqual(found, [])
})

void test('every front door opens with a module comment and what it exports has a docstring', () => {
  const program = ts.createProgram(
    globSync('src/*/index.ts', { cwd: root }).map((file) => join(root, file)),
    { noEmit: true, skipLibCheck: true, allowImportingTsExtensions: true, module: ts.ModuleKind.NodeNext },
  )
  const checker = program.getTypeChecker()
  const found: string[] = []
  for (const tree of program.getSourceFiles()) {
    const file = relative(root, tree.fileName)
    if (!/^src\/[^/]+\/index\.ts$/.test(file)) continue
    if (!/^\s*\/\*\*/.test(tree.text)) found.push(`${file}: no module comment`)
    const symbol = checker.getSymbolAtLocation(tree)
    if (symbol === undefined) continue
    for (const exported of checker.getExportsOfModule(symbol)) {
      const real = exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported
      const isPlainType = (real.flags & (ts.SymbolFlags.Interface | ts.SymbolFlags.TypeAlias)) !== 0
      if (!isPlainType && real.getDocumentationComment(checker).length === 0)
        found.push(`${file}: ${exported.name}`)
    }
  }
  assert.deepEqual(found, [])
})

void test('every fixture has a note on where it came from', () => {
  const files = globSync('fixtures/**/*', { cwd: root, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  )
  const found = files
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .filter((file) => !file.endsWith('README.md') && !existsSync(join(root, dirname(file), 'README.md')))
  assert.deepEqual(found, [])
})

void test('a decision to throw is a typed error: the product creates no bare Error', () => {
  const found = product.filter((file) => /\bnew Error\(/.test(readFileSync(join(root, file), 'utf8')))
  assert.deepEqual(found, [])
})

void test('package-lock.json fits every machine: platform packages are complete, no engine is named', () => {
  interface Locked {
    readonly engines?: unknown
    readonly resolved?: string
    readonly optionalDependencies?: Record<string, string>
  }
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, Locked>
  }
  const found = Object.entries(lock.packages).flatMap(([path, info]) => [
    ...(path !== '' && info.engines !== undefined ? [`${path} names an engine: npm run lock`] : []),
    ...(info.resolved !== undefined ? [`${path} names the host of a registry`] : []),
    ...Object.keys(info.optionalDependencies ?? {})
      .filter((name) => lock.packages[`node_modules/${name}`] === undefined)
      .map((name) => `${name} is missing: npm run lock`),
  ])
  assert.deepEqual(found, [])
})
