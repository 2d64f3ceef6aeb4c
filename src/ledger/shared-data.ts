import { stringifyJson } from '../base/index.ts'

// A pool, a node, a NIC or the DNS settings of a network stand in thousands of entries: one copy of each is enough.
const sharedLimit = 20_000 // texts, and as many objects
/** Longer ones are rarely those of others, and would be kept when all who had them are gone. */
const sharedLength = 1_024 // characters
const sharedTexts = new Map<string, string>()
const sharedObjects = new Map<string, object>()

/** The same text, held once. */
export function sharedText(text: string): string {
  return remembered(sharedTexts, text, text)
}

/** The same plain data, held once as long as it is equal in the order of its members, too. Nobody may change it. */
export function sharedData<T extends object>(data: T): T {
  // By its text, so what is found has the same shape.
  return remembered(sharedObjects as Map<string, T>, stringifyJson(data), data)
}

function remembered<T>(known: Map<string, T>, key: string, value: T): T {
  const found = known.get(key)
  if (found !== undefined) return found
  if (key.length > sharedLength) return value
  if (known.size >= sharedLimit) known.clear()
  known.set(key, value)
  return value
}
