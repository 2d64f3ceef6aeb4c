// `npm run manifests`: renders the files of manifests/ for those without Helm, with the Helm of test/control-plane.
import { writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { controlPlaneBinaries } from '../test/support/control-plane/binaries.ts'
import { renderManifests } from './manifests/render.ts'

const root = dirname(import.meta.dirname)
const bin = controlPlaneBinaries((line) => console.log(line))
for (const [path, text] of renderManifests(root, join(bin, 'helm'))) {
  writeFileSync(join(root, path), text)
  console.log(`wrote ${path}`)
}
