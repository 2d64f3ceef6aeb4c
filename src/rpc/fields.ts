import { tryParseIp, tryParseIpWithPrefix } from '../address/index.ts'
import { compileWildcard, crdLimits, isWildcard } from '../api/index.ts'
import { InvalidInputError } from '../base/index.ts'

/** Reads the members of one JSON object. Each method throws an `InvalidInputError` that names member, value and remedy. */
export class Fields {
  readonly #path: string
  readonly #members: Readonly<Record<string, unknown>>

  /** @param path of the object in the message, such as `alive[3]`; '' for the message itself */
  constructor(value: unknown, path = '') {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new InvalidInputError(
        path === '' ? 'body' : path,
        value,
        'is not an object',
        'send a JSON object there',
      )
    }
    this.#path = path
    this.#members = { ...value }
  }

  /** `name` with the path of this object before it. */
  pathOf(name: string): string {
    return this.#path === '' ? name : `${this.#path}.${name}`
  }

  has(name: string): boolean {
    return this.#members[name] !== undefined
  }

  text(name: string, rule: TextRule): string {
    return checkText(this.#members[name], this.pathOf(name), rule)
  }

  optionalText(name: string, rule: TextRule): string | undefined {
    return this.#members[name] === undefined ? undefined : this.text(name, rule)
  }

  texts(name: string, rule: TextRule, maxCount: number): readonly string[] {
    return this.list(name, maxCount).map((item, index) =>
      checkText(item, `${this.pathOf(name)}[${index}]`, rule),
    )
  }

  /** An object whose members are texts. */
  textMap(name: string, rule: TextRule, maxCount: number): Readonly<Record<string, string>> {
    const field = this.pathOf(name)
    const members = Object.entries(new Fields(this.#members[name], field).#members)
    if (members.length <= maxCount) {
      return Object.fromEntries(
        members.map(([key, value]) => [key, checkText(value, `${field}.${key.slice(0, 60)}`, rule)]),
      )
    }
    const found = `${members.length} members`
    throw new InvalidInputError(field, found, 'is too large', `send at most ${maxCount} members`)
  }

  objects(name: string, maxCount: number): readonly Fields[] {
    return this.list(name, maxCount).map((item, index) => new Fields(item, `${this.pathOf(name)}[${index}]`))
  }

  optionalObject(name: string): Fields | undefined {
    const value = this.#members[name]
    return value === undefined ? undefined : new Fields(value, this.pathOf(name))
  }

  list(name: string, maxCount: number): readonly unknown[] {
    const value = this.#members[name]
    const field = this.pathOf(name)
    if (!Array.isArray(value))
      throw new InvalidInputError(field, value, problemOf(value, 'a list'), 'send a list')
    if (value.length > maxCount) {
      throw new InvalidInputError(
        field,
        `${value.length} entries`,
        'is too long',
        `send at most ${maxCount} entries`,
      )
    }
    return value
  }

  flag(name: string): boolean {
    const value = this.#members[name]
    if (typeof value === 'boolean') return value
    throw new InvalidInputError(
      this.pathOf(name),
      value,
      problemOf(value, 'true or false'),
      'send true or false',
    )
  }

  optionalFlag(name: string): boolean | undefined {
    return this.#members[name] === undefined ? undefined : this.flag(name)
  }

  integer(name: string, first: number, last: number): number {
    const value = this.#members[name]
    if (typeof value === 'number' && Number.isInteger(value) && value >= first && value <= last) return value
    const hint = `send a whole number from ${first} to ${last}`
    throw new InvalidInputError(this.pathOf(name), value, problemOf(value, 'a whole number in range'), hint)
  }
}

/** What a text has to be. */
export interface TextRule {
  readonly fits: (text: string) => boolean
  readonly problem: string
  readonly hint: string
}

const pattern = (regex: RegExp, problem: string, hint: string): TextRule => ({
  fits: (text) => regex.test(text),
  problem,
  hint,
})

type TextName =
  | 'containerId'
  | 'ifName'
  | 'netns'
  | 'namespace'
  | 'podName'
  | 'podUid'
  | 'poolName'
  | 'reason'
  | 'ip'
  | 'ipWithPrefix'
  | 'mac'
  | 'dnsText'
  | 'sentence'
  | 'any'

/** Rules of the texts that agent and controller exchange. */
export const textRules: Readonly<Record<TextName, TextRule>> = {
  containerId: pattern(
    /^[A-Za-z0-9][A-Za-z0-9_.-]{0,255}$/,
    'is not a container id',
    'send CNI_CONTAINERID: 1 to 256 letters, digits, _ . -, the first a letter or digit',
  ),
  ifName: {
    fits: (text) => /^[^\s/:\0]{1,15}$/.test(text) && text !== '.' && text !== '..',
    problem: 'is not an interface name',
    hint: 'send CNI_IFNAME: 1 to 15 characters without space, / or :',
  },
  netns: {
    fits: (text) => text.startsWith('/') && text.length <= 4096 && !text.includes('\0'),
    problem: 'is not an absolute path',
    hint: 'send CNI_NETNS: the path of the network namespace',
  },
  namespace: pattern(
    /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/,
    'is not the name of a namespace',
    'send K8S_POD_NAMESPACE: 1 to 63 lower-case letters, digits and -',
  ),
  podName: {
    fits: (text) => text.length <= 253 && /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(text),
    problem: 'is not the name of a pod',
    hint: 'send K8S_POD_NAME: 1 to 253 lower-case letters, digits, - and .',
  },
  podUid: pattern(
    /^[A-Za-z0-9_.-]{0,128}$/,
    'is not a uid',
    'send K8S_POD_UID, or an empty text when it is unknown',
  ),
  poolName: {
    fits: isPoolReference,
    problem: 'is neither the name of a pool nor a wildcard',
    hint: 'send names as of an IPPool, at most 253 characters, or patterns with * ? [ ]',
  },
  reason: pattern(/^(detach|undo)$/, 'is not a reason', 'send detach or undo'),
  ip: {
    fits: (text) => tryParseIp(text) !== undefined,
    problem: 'is not an IP address',
    hint: 'send one IPv4 or IPv6 address, without prefix length',
  },
  ipWithPrefix: {
    fits: (text) => (text.includes('/') ? tryParseIpWithPrefix(text) : tryParseIp(text)) !== undefined,
    problem: 'is not an IP address',
    hint: 'send one IPv4 or IPv6 address, with or without prefix length',
  },
  mac: pattern(
    /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i,
    'is not a MAC address',
    'send six bytes such as 02:00:0a:06:00:01',
  ),
  dnsText: {
    fits: (text) => text !== '' && text.length <= crdLimits.dnsText,
    problem: 'is no word of a resolver configuration',
    hint: `send 1 to ${crdLimits.dnsText} characters`,
  },
  sentence: {
    fits: (text) => text.length <= 500 && !/\p{C}/u.test(text),
    problem: 'is no line of text',
    hint: 'send at most 500 characters that can be printed',
  },
  any: { fits: (text) => text.length <= 4096, problem: 'is too long', hint: 'send at most 4096 characters' },
}

function isPoolReference(text: string): boolean {
  if (!isWildcard(text)) return text.length <= 253 && /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(text)
  try {
    compileWildcard(text)
    return text.length <= 253 && !/[\s/\0]/.test(text)
  } catch (error) {
    if (error instanceof InvalidInputError) return false
    throw error
  }
}

function checkText(value: unknown, field: string, rule: TextRule): string {
  if (typeof value !== 'string')
    throw new InvalidInputError(field, value, problemOf(value, 'a text'), rule.hint)
  if (!rule.fits(value)) throw new InvalidInputError(field, value, rule.problem, rule.hint)
  return value
}

function problemOf(value: unknown, wanted: string): string {
  return value === undefined ? 'is missing' : `is not ${wanted}`
}
