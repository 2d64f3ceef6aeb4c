import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { isMap, isScalar, parseDocument, type YAMLMap } from 'yaml'

/** The document that ends with the table of the chart's values, from the top of the repository. */
export const installFile = 'docs/install.md'
/** The table follows this line. */
export const valuesMark = '<!-- Below: made from charts/spiderpool/values.yaml by `npm run generate`. -->'

/** The table of the chart's values: name, default, and the comment `# -- ...` above each in values.yaml. */
export function valuesText(root: string): string {
  const document = parseDocument(readFileSync(join(root, 'charts/spiderpool/values.yaml'), 'utf8'))
  if (!isMap(document.contents)) return ''
  const rows = rowsOf(document.contents, '')
  return ['| value | default | |', '| --- | --- | --- |', ...rows, ''].join('\n')
}

function rowsOf(map: YAMLMap, prefix: string): readonly string[] {
  return map.items.flatMap(({ key, value }) => {
    const name = `${prefix}${isScalar(key) ? String(key.value) : ''}`
    const isGroup = isMap(value) && value.flow !== true
    if (isGroup) return rowsOf(value, `${name}.`)
    const comment =
      (isScalar(key) ? key.commentBefore : undefined) ?? (prefix === '' ? '' : firstComment(map, key))
    const text = /^ ?-- (.*)$/m.exec(comment ?? '')?.[1] ?? ''
    return [
      `| \`${name}\` | \`${JSON.stringify(map.get(key, true), undefined, 0)}\` | ${text.replaceAll('|', '\\|')} |`,
    ]
  })
}

/** YAML gives the comment above the first key of a map to the map. */
function firstComment(map: YAMLMap, key: unknown): string {
  return map.items[0]?.key === key ? (map.commentBefore ?? '') : ''
}
