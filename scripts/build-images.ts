// `npm run build:images`: the root file systems of the images, without a container engine.
//   --image controller|agent   one of them (both)
//   --arch amd64|arm64         one of them (both)
//   --rootfs DIR               into this folder, which must be empty or not there (build/images/IMAGE-ARCH);
//                              needs --image and --arch
//   --sizes                    says how large each is when compressed
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { type ImageName, imageNames, images } from '../images/contents.ts'
import { imageEntries } from './packing/assemble.ts'
import { writeEntries } from './packing/entry.ts'
import { targetOf, targets } from './packing/target.ts'
import { setUpCompilers } from './setup.ts'

const root = dirname(import.meta.dirname)
const { values } = parseArgs({
  options: {
    image: { type: 'string' },
    arch: { type: 'string' },
    rootfs: { type: 'string' },
    sizes: { type: 'boolean', default: false },
  },
})

function fail(message: string): never {
  process.stderr.write(`build:images: ${message}\n`)
  process.exit(2)
}

function imageOf(name: string): ImageName {
  return (
    imageNames.find((known) => known === name) ?? fail(`--image "${name}": give ${imageNames.join(' or ')}`)
  )
}

function compressedBytes(folder: string): number {
  const command = 'tar --sort=name --owner=0 --group=0 --mtime=@0 -C "$0" -cf - . | gzip -6 | wc -c'
  return Number(execFileSync('sh', ['-c', command, folder], { encoding: 'utf8' }))
}

const sizeOf = (folder: string): string => `, ${(compressedBytes(folder) / 1e6).toFixed(1)} MB as .tar.gz`
const chosenImages = values.image === undefined ? imageNames : [imageOf(values.image)]
const chosenTargets = values.arch === undefined ? targets : [targetOf(values.arch)]
if (values.rootfs !== undefined && (values.image === undefined || values.arch === undefined))
  fail('--rootfs is one folder for one image: give --image and --arch with it')

if (chosenImages.some((image) => images[image].native.length > 0)) setUpCompilers(chosenTargets)
for (const image of chosenImages) {
  for (const target of chosenTargets) {
    const folder = resolve(values.rootfs ?? join(root, 'build/images', `${image}-${target.arch}`))
    if (values.rootfs === undefined) rmSync(folder, { recursive: true, force: true })
    else if (existsSync(folder) && readdirSync(folder).length > 0) fail(`--rootfs "${folder}": is not empty`)
    const entries = imageEntries(root, image, target)
    writeEntries(folder, entries)
    const size = values.sizes ? sizeOf(folder) : ''
    console.log(`${image} for ${target.arch}: ${entries.length} entries${size}, in ${folder}`)
  }
}
