import { Document } from 'yaml'
import { crdManifests } from '../src/api/index.ts'

/** Folder of the generated manifests, from the top of the repository. */
export const crdFolder = 'manifests/crds'

/** The files that `npm run generate` writes: name in {@link crdFolder} to text. */
export function crdFiles(): ReadonlyMap<string, string> {
  const files = new Map<string, string>()
  for (const manifest of crdManifests()) {
    const document = new Document(manifest, { aliasDuplicateObjects: false })
    document.commentBefore = ' Generated from src/api/crd by `npm run generate`: change it there.'
    files.set(`${manifest.metadata.name}.yaml`, document.toString({ lineWidth: 110 }))
  }
  return files
}
