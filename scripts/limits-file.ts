import { globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { crdLimits } from '../src/api/index.ts'

const root = dirname(import.meta.dirname)

/** The file that {@link limitsText} is for, from the top of the repository. */
export const limitsFile = 'docs/limits.md'
/** What is below this line is generated. */
export const limitsMark = '<!-- Below: generated from the source by `npm run generate`. -->'

const constant = /^(?:export )?const (max[A-Z]\w*|\w*[lL]imit)(?:: \w+)? = ([^{'"\n]+?)(?: \/\/ (.*))?$/

/** The generated part: every constant of the source that bounds something, by folder. */
export function limitsText(): string {
  const rows: string[] = []
  for (const file of globSync('src/**/*.ts', { cwd: root }).sort()) {
    if (file.endsWith('.test.ts')) continue
    for (const line of readFileSync(join(root, file), 'utf8').split('\n')) {
      const [, name, value, note = ''] = constant.exec(line) ?? []
      if (name !== undefined) rows.push(`| \`${name}\` | ${value} | ${note} | ${file.slice(4)} |`)
    }
  }
  const schema = Object.entries(crdLimits).map(
    ([name, value]) => `| \`${name}\` | ${value} | |  api/crd/limits.ts |`,
  )
  return ['| constant | value | note | in src/ |', '| --- | --- | --- | --- |', ...schema, ...rows, ''].join(
    '\n',
  )
}
