import { Document } from 'yaml'
import { type AccountName, accessRights } from '../src/api/index.ts'
import { crdFiles } from './crd-files.ts'

/** Folder of the generated files of the chart, from the top of the repository. */
export const chartFilesFolder = 'charts/spiderpool/files'

/** The files that `npm run generate` writes: path in {@link chartFilesFolder} to text. */
export function chartFiles(): ReadonlyMap<string, string> {
  const files = new Map<string, string>()
  for (const [name, text] of crdFiles()) files.set(`crds/${name}`, text)
  for (const account of Object.keys(accessRights) as AccountName[]) {
    const { cluster, namespace } = accessRights[account]
    files.set(`rights/${account}-cluster.yaml`, rulesText(cluster))
    files.set(`rights/${account}-namespace.yaml`, rulesText(namespace))
  }
  return files
}

function rulesText(rules: readonly object[]): string {
  const document = new Document(rules, { aliasDuplicateObjects: false })
  document.commentBefore = ' Generated from src/api/access-rights.ts by `npm run generate`: change it there.'
  return document.toString({ lineWidth: 110 })
}
