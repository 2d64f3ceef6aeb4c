import { assert } from '../../../../base/index.ts'
import type { JsonObject } from '../record.ts'
import { compileCrd } from './compile-crd.ts'
import type { CompiledVersion } from './compile-version.ts'

// Definitions for the tests of this folder.

/** A sound definition of kind Foo with the given schema. */
export function definition(openAPIV3Schema: JsonObject): JsonObject {
  const version = {
    name: 'v1',
    served: true,
    storage: true,
    subresources: { status: {} },
    schema: { openAPIV3Schema },
  }
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'foos.example.com' },
    spec: {
      group: 'example.com',
      scope: 'Namespaced',
      names: { plural: 'foos', kind: 'Foo' },
      versions: [version],
    },
  }
}

/** The only version of a definition, compiled. */
export function versionOf(crd: JsonObject): CompiledVersion {
  const compiled = compileCrd(crd).versions.get('v1')
  assert(compiled !== undefined, 'the definition serves v1')
  return compiled
}

/** A compiled version whose `spec` has the given schema. */
export function versionWithSpec(spec: JsonObject): CompiledVersion {
  return versionOf(definition({ type: 'object', properties: { spec } }))
}
