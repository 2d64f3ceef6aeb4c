// What a person sees.
const isColoured = process.stdout.isTTY === true && process.env['NO_COLOR'] === undefined
const paint =
  (code: number) =>
  (text: string): string =>
    isColoured ? `\x1b[${code}m${text}\x1b[0m` : text

export const bold: (text: string) => string = paint(1)
export const dim: (text: string) => string = paint(2)
const red = paint(31)
const green = paint(32)
const maxShownLines = 14
const maxShownChars = 400

export function print(text = ''): void {
  process.stdout.write(`${text}\n`)
}

/** A command as a person would type it. */
export function command(text: string): void {
  print(dim(`  $ ${text}`))
}

export function passed(name: string, what: string, tookMs: number): void {
  const { first, rest } = parts(what)
  const time = tookMs < 1000 ? '' : dim(` ${(tookMs / 1000).toFixed(1)} s`)
  print(`  ${green('✓')} ${name}${first === '' ? '' : `: ${bold(first)}`}${time}`)
  for (const line of rest) print(dim(`      ${line}`))
}

export function failed(
  name: string,
  how: { readonly expected: string; readonly seen: string; readonly look: string },
): void {
  const { first, rest } = parts(how.seen)
  print(`  ${red('✗')} ${name}`)
  print(`      expected  ${how.expected}`)
  print(`      seen      ${first}`)
  for (const line of rest) print(`                ${line}`)
  print(`      look      ${how.look}`)
}

function parts(what: string): { readonly first: string; readonly rest: readonly string[] } {
  const [first = '', ...rest] = what.split('\n').map((line) => line.trimEnd().slice(0, maxShownChars))
  return { first, rest: rest.slice(0, maxShownLines) }
}
