import { Environment } from '@marcbachmann/cel-js'
import { registerIpLibrary } from './ip-library.ts'
import { celEqual, registerListLibrary } from './list-library.ts'
import { registerQuantityLibrary } from './quantity-library.ts'
import { registerStringLibrary } from './string-library.ts'
import { definedName } from './syntax-tree.ts'
import { registerUrlLibrary } from './url-library.ts'

/**
 * An object with known fields at run time. A class of its own, because the evaluator gives a plain object the type of a
 * map of its first value, so that two objects of one schema could not be compared. A field is converted when it is
 * first read: most rules look at little of a large object.
 */
export class CelObject {
  constructor(fields: Iterable<readonly [string, () => unknown]>) {
    for (const [name, convert] of fields) {
      const get = (): unknown => {
        const value = convert()
        Object.defineProperty(this, name, { value, enumerable: true })
        return value
      }
      Object.defineProperty(this, name, { get, enumerable: true, configurable: true })
    }
  }
}

/** What a schema node is in CEL: named object types, lists, maps, scalars. */
export type CelType =
  | { readonly kind: 'scalar'; readonly name: 'int' | 'double' | 'string' | 'bool' | 'dyn' | 'bytes' }
  | { readonly kind: 'timestamp' | 'duration' }
  | { readonly kind: 'list'; readonly items: CelType }
  | { readonly kind: 'map'; readonly values: CelType }
  | { readonly kind: 'object'; readonly fields: ReadonlyMap<string, CelType> }

const limits = { maxAstNodes: 5000, maxDepth: 64, maxListElements: 1000, maxMapEntries: 1000 }

function library(): Environment {
  const env = new Environment({ enableOptionalTypes: true, homogeneousAggregateLiterals: false, limits })
  registerIpLibrary(env)
  registerListLibrary(env)
  registerStringLibrary(env)
  registerQuantityLibrary(env)
  registerUrlLibrary(env)
  return env
}

const base = library()

/** Evaluates with values of any type. */
export const runtimeEnvironment: Environment = base
  .clone()
  .registerType('object', CelObject)
  .registerOperator('object == object', celEqual)
  .registerVariable('self', 'dyn')
  .registerVariable('oldSelf', 'dyn')

/** Checks types: knows the fields of `self`, so that a misspelt one is refused when the definition is applied. */
export function checkingEnvironment(self: CelType, oldSelf: 'absent' | 'present' | 'optional'): Environment {
  const env = base.clone().registerFunction(`${definedName}(dyn): bool`, () => true, { async: false })
  const name = declare(env, self, { next: 1 })
  env.registerVariable('self', name)
  if (oldSelf !== 'absent')
    env.registerVariable('oldSelf', oldSelf === 'optional' ? `optional<${name}>` : name)
  return env
}

function declare(env: Environment, type: CelType, ids: { next: number }): string {
  switch (type.kind) {
    case 'scalar':
      return type.name
    case 'timestamp':
      return 'google.protobuf.Timestamp'
    case 'duration':
      return 'google.protobuf.Duration'
    case 'list':
      return `list<${declare(env, type.items, ids)}>`
    case 'map':
      return `map<string, ${declare(env, type.values, ids)}>`
    case 'object': {
      const name = `object${ids.next}`
      ids.next += 1
      const fields = [...type.fields].map(([field, inner]) => [field, declare(env, inner, ids)] as const)
      env.registerType(name, { fields: Object.fromEntries(fields) })
      env.registerOperator(`${name} == ${name}`, celEqual)
      return name
    }
  }
}
