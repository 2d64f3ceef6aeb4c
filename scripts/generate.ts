// `npm run generate`: writes manifests/crds from src/api/crd and the chart's files from that and src/api/access-rights.ts, removes
// what is no longer made; and the list in docs/limits.md.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { admissionFile, admissionMark, admissionText } from './admission-file.ts'
import { chartFiles, chartFilesFolder } from './chart-files.ts'
import { crdFiles, crdFolder } from './crd-files.ts'
import { limitsFile, limitsMark, limitsText } from './limits-file.ts'
import { installFile, valuesMark, valuesText } from './values-table.ts'

const root = dirname(import.meta.dirname)
const folder = join(root, crdFolder)
const files = crdFiles()
mkdirSync(folder, { recursive: true })
for (const name of readdirSync(folder)) if (!files.has(name)) rmSync(join(folder, name))
for (const [name, text] of files) writeFileSync(join(folder, name), text)
console.log(`wrote ${files.size} files to ${crdFolder}`)
const chart = chartFiles()
rmSync(join(root, chartFilesFolder), { recursive: true, force: true })
for (const [path, text] of chart) {
  const file = join(root, chartFilesFolder, path)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, text)
}
console.log(`wrote ${chart.size} files to ${chartFilesFolder}`)
const install = join(root, installFile)
const [before = ''] = readFileSync(install, 'utf8').split(valuesMark)
writeFileSync(install, `${before}${valuesMark}\n\n${valuesText(root)}`)
console.log(`wrote ${installFile}`)
const limits = join(root, limitsFile)
const [written = ''] = readFileSync(limits, 'utf8').split(limitsMark)
writeFileSync(limits, `${written}${limitsMark}\n\n${limitsText()}`)
console.log(`wrote ${limitsFile}`)
const admission = join(root, admissionFile)
const [said = ''] = readFileSync(admission, 'utf8').split(admissionMark)
writeFileSync(admission, `${said}${admissionMark}\n\n${admissionText()}`)
console.log(`wrote ${admissionFile}`)
