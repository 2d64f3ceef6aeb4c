// `npm run generate`: writes manifests/crds from src/api/crd, and removes what is no longer made.
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { crdFiles, crdFolder } from './crd-files.ts'

const folder = join(dirname(import.meta.dirname), crdFolder)
const files = crdFiles()
mkdirSync(folder, { recursive: true })
for (const name of readdirSync(folder)) if (!files.has(name)) rmSync(join(folder, name))
for (const [name, text] of files) writeFileSync(join(folder, name), text)
console.log(`wrote ${files.size} files to ${crdFolder}`)
