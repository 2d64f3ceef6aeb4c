// The programs of native/ for a processor: with the compiler at hand, or a cross compiler of Debian.
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { ownTarget, type Target } from './target.ts'

/** Builds what is not there yet. @returns folder with the programs */
export function nativePrograms(root: string, target: Target): string {
  const isOwn = target.arch === ownTarget.arch
  const folder = isOwn ? 'build/native' : `build/native-${target.arch}`
  const env = isOwn ? process.env : { ...process.env, CC: `${target.triple}-gcc` }
  execFileSync(join(root, 'scripts/build-native.sh'), [folder], { env, stdio: 'inherit' })
  return join(root, folder)
}
