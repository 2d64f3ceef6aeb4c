// `npm run manifests`: renders manifests/install.yaml from the chart, with the Helm of test/control-plane.
import { writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { controlPlaneBinaries } from '../test/support/control-plane/binaries.ts'
import { installManifest, renderManifest } from './manifests/render.ts'

const root = dirname(import.meta.dirname)
const bin = controlPlaneBinaries((line) => console.log(line))
writeFileSync(join(root, installManifest), renderManifest(root, join(bin, 'helm')))
console.log(`wrote ${installManifest}`)
