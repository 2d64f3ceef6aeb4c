import { badRequest } from '../status.ts'

/** A query parameter that must be a whole number, 0 or more. @throws {StatusError} 400 */
export function numberOption(query: URLSearchParams, key: string): number | undefined {
  const text = query.get(key)
  if (text === null || text === '') return undefined
  if (!/^\d{1,15}$/.test(text))
    throw badRequest(`cannot read ${key} ${JSON.stringify(text)}: it must be a whole number, 0 or more`)
  return Number(text)
}

const truths = ['1', 't', 'T', 'true', 'TRUE', 'True']
const lies = ['0', 'f', 'F', 'false', 'FALSE', 'False', '']

/** @throws {StatusError} 400 for what is no boolean */
export function booleanOption(query: URLSearchParams, key: string): boolean {
  const text = query.get(key)
  if (text === null || lies.includes(text)) return false
  if (truths.includes(text)) return true
  throw badRequest(`cannot read ${key} ${JSON.stringify(text)}: it must be true or false`)
}

/** @throws {StatusError} 400 for another value than All */
export function isDryRun(query: URLSearchParams, body?: readonly unknown[]): boolean {
  const values = [...query.getAll('dryRun'), ...(body ?? [])].filter((value) => value !== '')
  const wrong = values.find((value) => value !== 'All')
  if (wrong !== undefined)
    throw badRequest(`Invalid value: ${JSON.stringify(wrong)}: dryRun supports only "All"`)
  return values.length > 0
}

/** A resourceVersion as the store counts. @throws {StatusError} 400 */
export function versionOption(query: URLSearchParams, key = 'resourceVersion'): number | undefined {
  const text = query.get(key)
  if (text === null || text === '') return undefined
  if (!/^\d{1,15}$/.test(text))
    throw badRequest(`invalid resource version ${JSON.stringify(text)}: use one that this server gave out`)
  return Number(text)
}

export type FieldValidation = 'Ignore' | 'Warn' | 'Strict'

/** @throws {StatusError} 400 for an unknown value */
export function fieldValidation(query: URLSearchParams): FieldValidation {
  const text = query.get('fieldValidation') ?? ''
  if (text === '') return 'Warn'
  if (text === 'Ignore' || text === 'Warn' || text === 'Strict') return text
  throw badRequest(`Invalid value: ${JSON.stringify(text)}: fieldValidation must be Ignore, Warn or Strict`)
}
