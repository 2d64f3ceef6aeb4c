/** The numbers of a text such as `0-2,5`; what cannot be read counts as none. */
export function parseIndexes(text: string): ReadonlySet<number> {
  const numbers = new Set<number>()
  for (const part of text.split(',')) {
    const [, first = '', last = first] = /^(\d{1,6})(?:-(\d{1,6}))?$/.exec(part) ?? []
    if (first === '') continue
    for (let n = Number(first); n <= Number(last === '' ? first : last); n++) numbers.add(n)
  }
  return numbers
}

/** The shortest text for the numbers, as in `status.completedIndexes`. */
export function formatIndexes(numbers: ReadonlySet<number>): string {
  const parts: string[] = []
  let run: { readonly first: number; readonly last: number } | undefined
  const end = () => {
    if (run !== undefined) parts.push(run.first === run.last ? `${run.first}` : `${run.first}-${run.last}`)
  }
  for (const n of [...numbers].sort((a, b) => a - b)) {
    if (run !== undefined && n === run.last + 1) run = { first: run.first, last: n }
    else {
      end()
      run = { first: n, last: n }
    }
  }
  end()
  return parts.join(',')
}
