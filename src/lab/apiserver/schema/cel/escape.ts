const keywords: ReadonlySet<string> = new Set(
  (
    'true false null in as break const continue else for function if import let loop package namespace return ' +
    'var void while'
  ).split(' '),
)
const symbols: Readonly<Record<string, string>> = { '.': '__dot__', '-': '__dash__', '/': '__slash__' }

/**
 * The name of a property inside CEL, escaped as Kubernetes does it: `a-b` is `a__dash__b`, a keyword gets underscores.
 * @returns undefined for a property that CEL cannot reach
 */
export function escapeProperty(name: string): string | undefined {
  if (keywords.has(name)) return `__${name}__`
  const escaped = name
    .replaceAll('__', '__underscores__')
    .replaceAll(/[.\-/]/g, (symbol) => symbols[symbol] ?? '')
  return /^[A-Za-z_]\w*$/.test(escaped) ? escaped : undefined
}
