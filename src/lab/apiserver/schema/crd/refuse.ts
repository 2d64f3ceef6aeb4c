import { InvalidInputError } from '../../../../base/index.ts'

/** Refuses a part of a CustomResourceDefinition: field path, value found, what is wrong, remedy. */
export function refuse(field: string, value: unknown, problem: string, hint: string): never {
  throw new InvalidInputError(field, value === undefined ? null : value, problem, hint)
}
