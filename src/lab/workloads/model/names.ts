import { createHash } from 'node:crypto'

// Kubernetes' own alphabet for generated names: no vowels, and nothing that looks like something else.
const alphabet = 'bcdfghjklmnpqrstvwxz2456789'
const suffixLength = 5
const hashLength = 10
const maxPodNameChars = 63

/** `length` characters of the alphabet, computed from `text` alone. */
function letters(text: string, length: number): string {
  let rest = BigInt(`0x${createHash('sha256').update(text).digest('hex')}`)
  const base = BigInt(alphabet.length)
  let out = ''
  for (let i = 0; i < length; i++) {
    out += alphabet[Number(rest % base)] ?? ''
    rest /= base
  }
  return out
}

/**
 * Names for `count` new pods of one owner: its name and five letters computed from its uid and a number. The same
 * question gives the same names, so that of two processes that believe a pod to be missing only one can create it.
 *
 * @param isTaken names that are or lately were in use
 */
export function podNames(
  owner: { readonly name: string; readonly uid?: string },
  count: number,
  isTaken: (name: string) => boolean,
): readonly string[] {
  const names: string[] = []
  for (let n = 0; names.length < count; n++) {
    const name = podName(owner.name, `${owner.uid ?? ''}/${n}`)
    if (!isTaken(name) && !names.includes(name)) names.push(name)
  }
  return names
}

/** A pod name that ends in five letters computed from `seed`. */
export function podName(prefix: string, seed: string): string {
  const room = maxPodNameChars - suffixLength - 1
  return `${prefix.slice(0, room)}-${letters(seed, suffixLength)}`
}

/** Ten letters that stand for a pod template. @param collisions how many other objects had the name before */
export function templateHash(template: unknown, collisions = 0): string {
  return letters(`${canonicalJson(template)}/${collisions}`, hashLength)
}

/** JSON with sorted keys, without what is absent or null: equal texts mean equal values. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value)
      .filter(([, member]) => member !== undefined && member !== null)
      .sort(([a], [b]) => (a < b ? -1 : 1))
    return `{${members.map(([key, member]) => `${JSON.stringify(key)}:${canonicalJson(member)}`).join(',')}}`
  }
  return typeof value === 'bigint' ? value.toString() : (JSON.stringify(value) ?? 'null')
}

export function isSameValue(a: unknown, b: unknown): boolean {
  return canonicalJson(a) === canonicalJson(b)
}
