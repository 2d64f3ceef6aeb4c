// Shared libraries of Debian (or of the Ubuntu that builds), for any processor and without changing this machine: apt with
// folders of its own fetches the packages and checks their signatures.
import { execFileSync } from 'node:child_process'
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { basename, join } from 'node:path'
import { libraries } from '../../images/contents.ts'
import type { Entry } from './entry.ts'
import type { Target } from './target.ts'

/** Libraries and their loader, licences, and what scanners read. */
export function libraryEntries(root: string, target: Target): readonly Entry[] {
  const folder = fetched(root, target)
  const found: Entry[] = []
  for (const [name, files] of Object.entries(libraries)) {
    const unpacked = join(folder, name)
    for (const file of files) {
      found.push(copy(`/lib/${target.triple}/${file}`, findLibrary(unpacked, target, file), 0o755))
    }
    const licence = join(unpacked, 'usr/share/doc', name)
    const documents = lstatSync(licence).isSymbolicLink()
      ? join(folder, basename(readlinkSync(licence)), 'usr/share/doc', basename(readlinkSync(licence)))
      : licence
    found.push(copy(`/usr/share/doc/${name}/copyright`, join(documents, 'copyright'), 0o644))
    // Where scanners look for the packages of an image without dpkg.
    found.push(copy(`/var/lib/dpkg/status.d/${name}`, `${unpacked}.control`, 0o644))
  }
  const loader = findLibrary(join(folder, 'libc6'), target, basename(target.loader))
  return [...found, copy(target.loader, loader, 0o755), copy('/etc/os-release', '/etc/os-release', 0o644)]
}

function copy(path: string, from: string, mode: number): Entry {
  return { kind: 'copy', path, from, mode }
}

function findLibrary(unpacked: string, target: Target, file: string): string {
  for (const folder of [`lib/${target.triple}`, `usr/lib/${target.triple}`]) {
    const path = join(unpacked, folder, file)
    if (existsSync(path)) return realpathSync(path)
  }
  throw new Error(`${basename(unpacked)} for ${target.arch} has no ${file}`)
}

/** Unpacked packages, a folder each. Kept for a day: then there may be a fix. */
function fetched(root: string, target: Target): string {
  const today = new Date().toISOString().slice(0, 10)
  const cache = join(root, 'build/cache/debian', target.arch)
  const folder = join(cache, today)
  if (existsSync(folder)) return folder
  rmSync(cache, { recursive: true, force: true })
  mkdirSync(cache, { recursive: true })
  const scratch = mkdtempSync(join(cache, 'fetch-'))
  const apt = privateApt(scratch, target)
  apt(['update', '-qq'])
  const unpacked = join(scratch, 'unpacked')
  for (const name of Object.keys(libraries)) {
    unpack(apt, name, unpacked)
    const licence = join(unpacked, name, 'usr/share/doc', name)
    const other = lstatSync(licence).isSymbolicLink() ? basename(readlinkSync(licence)) : name
    if (!existsSync(join(unpacked, other))) unpack(apt, other, unpacked)
  }
  renameSync(unpacked, folder)
  rmSync(scratch, { recursive: true })
  return folder
}

type Apt = (args: readonly string[]) => void

function unpack(apt: Apt, name: string, folder: string): void {
  mkdirSync(folder, { recursive: true })
  apt(['download', '-qq', name])
  const archives = join(folder, '..', 'archives')
  const archive = readdirSync(archives).find((file) => file.startsWith(`${name}_`))
  if (archive === undefined) throw new Error(`apt-get download ${name} gave no package`)
  execFileSync('dpkg-deb', ['--extract', join(archives, archive), join(folder, name)])
  writeFileSync(
    join(folder, `${name}.control`),
    execFileSync('dpkg-deb', ['--field', join(archives, archive)]),
  )
}

function privateApt(scratch: string, target: Target): Apt {
  for (const folder of ['state/lists/partial', 'cache/archives/partial', 'archives', 'sources'])
    mkdirSync(join(scratch, folder), { recursive: true })
  for (const [name, text] of ownSources(target)) writeFileSync(join(scratch, 'sources', name), text)
  writeFileSync(join(scratch, 'status'), '')
  const settings = {
    'Dir::State': join(scratch, 'state'),
    'Dir::State::status': join(scratch, 'status'),
    'Dir::Cache': join(scratch, 'cache'),
    'Dir::Etc::sourcelist': '/dev/null',
    'Dir::Etc::sourceparts': join(scratch, 'sources'),
    'APT::Architecture': target.arch,
    'APT::Architectures': target.arch,
    'APT::Sandbox::User': 'root',
    'Acquire::Languages': 'none',
  }
  const options = Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`])
  return (args) => {
    execFileSync('apt-get', [...options, ...args], {
      cwd: join(scratch, 'archives'),
      stdio: ['ignore', 'ignore', 'inherit'],
      timeout: 300_000,
    })
  }
}

/** Where this machine takes Debian or Ubuntu from; other sources of its owner do not belong into an image. */
function ownSources(target: Target): ReadonlyMap<string, string> {
  const etc = '/etc/apt'
  const files = ['sources.list.d/debian.sources', 'sources.list.d/ubuntu.sources', 'sources.list']
  const found = files.filter((file) => existsSync(join(etc, file)))
  if (found.length === 0) throw new Error(`no sources of packages: none of ${files.join(', ')} in ${etc}`)
  return new Map(
    found.map((file) => [basename(file), forProcessor(readFileSync(join(etc, file), 'utf8'), target)]),
  )
}

// Ubuntu keeps other processors on another host.
function forProcessor(sources: string, target: Target): string {
  const [from, to] = [
    'http://(archive|security).ubuntu.com/ubuntu/?',
    'http://ports.ubuntu.com/ubuntu-ports/',
  ]
  const moved = target.arch === 'amd64' ? sources : sources.replaceAll(new RegExp(from, 'g'), to)
  return moved.replaceAll(/^Architectures:.*\n/gm, '').replaceAll(/\barch=\S+?(?=[ \]])/g, '')
}
