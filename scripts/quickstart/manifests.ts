// The manifests of the affinity document, as they stand there.
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

const root = dirname(dirname(import.meta.dirname))
const folder = 'docs/examples/affinity'

export function manifestPath(file: string): string {
  return `${folder}/${file}`
}

export function readManifest(file: string): string {
  return readFileSync(join(root, folder, file), 'utf8')
}

/** The documents of one file. */
export function documentsOf(text: string): readonly string[] {
  return text.split(/^---$/m).map((document) => document.trimStart())
}

/** The text with another number of replicas. */
export function withReplicas(text: string, replicas: number): string {
  return text.replace(/^( *replicas:) \d+$/m, `$1 ${replicas}`)
}

/** What a document describes. */
export interface Described {
  readonly kind: string
  readonly name: string
  readonly namespace: string
  /** Label of its pods; '' for what has none. */
  readonly app: string
  /** Ranges of addresses, as a pool writes them. */
  readonly ranges: readonly string[]
}

/** Reads what the checks need of a document: these manifests are ours, and written in one way. */
export function describe(document: string): Described {
  const found = (pattern: RegExp) => pattern.exec(document)?.[1] ?? ''
  return {
    kind: found(/^kind: (\S+)/m),
    name: found(/^metadata:\n +name: (\S+)/m),
    namespace: found(/^metadata:\n(?: +\S.*\n)*? +namespace: (\S+)/m) || 'default',
    app: found(/matchLabels:\n +app: (\S+)/),
    ranges: [...document.matchAll(/^ +- (\d[\d.]+-\d[\d.]+)$/gm)].map(([, range = '']) => range),
  }
}

/** A range of IPv4 addresses as pools write it. */
export interface Range {
  readonly first: string
  readonly last: string
  readonly prefixBits: number
}

export function rangeOf(text: string, prefixBits: number): Range {
  const [first = '', last = first] = text.split('-')
  return { first, last, prefixBits }
}

const numberOf = (ip: string): number => ip.split('.').reduce((sum, part) => sum * 256 + Number(part), 0)

export function isInRange({ first, last }: Range, ip: string): boolean {
  return numberOf(first) <= numberOf(ip) && numberOf(ip) <= numberOf(last)
}

export function addressesIn({ first, last }: Range): readonly string[] {
  const start = numberOf(first)
  return Array.from({ length: numberOf(last) - start + 1 }, (_, i) => textOf(start + i))
}

function textOf(number: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(number / 2 ** shift) % 256).join('.')
}
