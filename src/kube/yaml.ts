import { parseAllDocuments, stringify } from 'yaml'
import { InvalidInputError, toError } from '../base/index.ts'

const maxDocuments = 100
// A document may name a part of itself: a few lines could stand for gigabytes.
const maxAliases = 100

/**
 * The documents of a YAML or JSON text, without empty ones.
 * @param field where the text came from, for the error
 * @throws {InvalidInputError} naming the first line that cannot be read
 */
export function parseYamlDocuments(text: string, field: string): readonly unknown[] {
  const hint = 'write YAML or JSON, as kubectl takes it'
  let documents: ReturnType<typeof parseAllDocuments>
  try {
    documents = parseAllDocuments(text)
  } catch (error) {
    throw new InvalidInputError(field, '', `is not YAML: ${toError(error).message}`, hint)
  }
  if (documents.length > maxDocuments)
    throw new InvalidInputError(field, documents.length, `has more than ${maxDocuments} documents`, hint)
  const values = documents.map((document) => {
    const [problem] = document.errors
    if (problem !== undefined)
      throw new InvalidInputError(field, '', `is not YAML: ${problem.message.split('\n')[0]}`, hint)
    try {
      return document.toJS({ maxAliasCount: maxAliases }) as unknown
    } catch (error) {
      throw new InvalidInputError(field, '', `cannot be read: ${toError(error).message}`, hint)
    }
  })
  return values.filter((value) => value !== null && value !== undefined)
}

/** A value as YAML, without anchors; the lines, without the last line break. */
export function formatYaml(value: unknown): string {
  return stringify(value, { aliasDuplicateObjects: false, lineWidth: 0 }).trimEnd()
}
