/**
 * The members of a JSON object as they are written, so that what we do not understand passes through byte by byte.
 * @param text one valid JSON object (parse it first: this scanner trusts it)
 * @returns key and raw value text, in order; of a repeated key the last, as JSON.parse does
 */
export function jsonMembers(text: string): ReadonlyMap<string, string> {
  const members = new Map<string, string>()
  for (const [key, raw] of jsonMemberList(text)) {
    members.delete(key)
    members.set(key, raw)
  }
  return members
}

/**
 * As {@link jsonMembers}, with every member of a repeated key.
 * @param text one valid JSON object
 */
export function* jsonMemberList(text: string): Generator<readonly [key: string, raw: string]> {
  let at = skipBlank(text, text.indexOf('{') + 1)
  while (at < text.length && text[at] === '"') {
    const keyEnd = endOfValue(text, at)
    const key: unknown = JSON.parse(text.slice(at, keyEnd))
    const valueAt = skipBlank(text, text.indexOf(':', keyEnd) + 1)
    const valueEnd = endOfValue(text, valueAt)
    yield [String(key), text.slice(valueAt, valueEnd)]
    at = skipBlank(text, valueEnd)
    if (text[at] === ',') at = skipBlank(text, at + 1)
  }
}

/**
 * The elements of a JSON array as they are written.
 * @param text one valid JSON array
 */
export function jsonElements(text: string): readonly string[] {
  const elements: string[] = []
  let at = skipBlank(text, text.indexOf('[') + 1)
  while (at < text.length && text[at] !== ']') {
    const end = endOfValue(text, at)
    elements.push(text.slice(at, end))
    at = skipBlank(text, end)
    if (text[at] === ',') at = skipBlank(text, at + 1)
  }
  return elements
}

/** Writes members back as one JSON object. */
export function joinJsonMembers(members: Iterable<readonly [string, string]>): string {
  return `{${[...members].map(([key, raw]) => `${JSON.stringify(key)}:${raw}`).join(',')}}`
}

function skipBlank(text: string, from: number): number {
  let at = from
  while (at < text.length && ' \t\r\n'.includes(text.charAt(at))) at++
  return at
}

function endOfString(text: string, start: number): number {
  let at = start + 1
  while (at < text.length && text[at] !== '"') at += text[at] === '\\' ? 2 : 1
  return at + 1
}

function endOfValue(text: string, start: number): number {
  const first = text.charAt(start)
  if (first === '"') return endOfString(text, start)
  let at = start
  if (first !== '{' && first !== '[') {
    while (at < text.length && !',]} \t\r\n'.includes(text.charAt(at))) at++
    return at
  }
  let depth = 0
  while (at < text.length) {
    const char = text.charAt(at)
    if (char === '"') {
      at = endOfString(text, at)
      continue
    }
    if (char === '{' || char === '[') depth++
    if (char === '}' || char === ']') depth--
    at++
    if (depth === 0) break
  }
  return at
}
