import { copyFile, mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { OperationError } from '../base/index.ts'
import { supportedVersions, syncFolder, writeDurably } from '../cni/index.ts'

/** The names under which the pipe is installed; each plugin knows itself by its name. */
export const pluginNames = ['spiderpool', 'coordinator', 'ifacer', 'spiderpool-meta'] as const
/** One of {@link pluginNames}. */
export type PluginName = (typeof pluginNames)[number]

/** Name of the meta-plugin's network and of its configuration file, which sorts before those of others. */
export const metaNetworkName = 'spiderpool'
const confFileName = '00-spiderpool.conflist'

/** The plugins cannot be installed. */
export class InstallError extends OperationError {
  override readonly code = 'INSTALL_FAILED'
  override readonly retry = 'after-change'
}

export interface InstallOptions {
  readonly source: string
  readonly binDir: string
  readonly confDir: string
}

/**
 * Installs the plugins and, last of all, the configuration file whose presence tells the runtime that the node is ready.
 * Every file is there whole or not at all, also for a runtime that starts a plugin at this moment.
 */
export async function installPlugins(options: InstallOptions): Promise<void> {
  try {
    await mkdir(options.binDir, { recursive: true })
    await mkdir(options.confDir, { recursive: true })
    for (const name of pluginNames) await installExecutable(options.source, options.binDir, name)
    await installConf(join(options.confDir, confFileName))
  } catch (cause) {
    const problem = cause instanceof Error ? cause.message : String(cause)
    throw new InstallError(
      `Cannot install the plugins from "${options.source}" into "${options.binDir}": ${problem}`,
      'build the plugin (scripts/build-native.sh), and see that the folders can be written',
      { cause },
    )
  }
}

/** The plugin list of the meta-plugin. */
export function metaNetworkText(): string {
  const list = {
    cniVersion: '1.1.0',
    cniVersions: supportedVersions.filter((version) => version !== '0.3.0'),
    name: metaNetworkName,
    plugins: [{ type: 'spiderpool-meta', capabilities: { portMappings: true, bandwidth: true } }],
  }
  return `${JSON.stringify(list, undefined, 2)}\n`
}

async function installExecutable(source: string, binDir: string, name: string): Promise<void> {
  const target = join(binDir, name)
  const wanted = await readFile(source)
  if ((await readIfThere(target))?.equals(wanted) === true) return
  const temp = join(binDir, `.${name}.${process.pid}.tmp`)
  try {
    await copyFile(source, temp)
    const file = await open(temp, 'r+')
    try {
      await file.chmod(0o755)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temp, target)
  } catch (error) {
    await rm(temp, { force: true })
    throw error
  }
  await syncFolder(binDir)
}

async function installConf(path: string): Promise<void> {
  const wanted = metaNetworkText()
  if ((await readIfThere(path))?.toString() !== wanted) await writeDurably(path, wanted)
}

/** Removes the configuration file when it is as {@link installPlugins} writes it. @returns whether it was */
export async function removeConf(confDir: string): Promise<boolean> {
  const path = join(confDir, confFileName)
  if ((await readIfThere(path))?.toString() !== metaNetworkText()) return false
  await rm(path, { force: true })
  await syncFolder(confDir)
  return true
}

async function readIfThere(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}
