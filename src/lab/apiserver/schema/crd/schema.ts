import type { CelRule } from '../cel/rule.ts'

export type SchemaType = 'object' | 'array' | 'string' | 'integer' | 'number' | 'boolean'

/** One node of a structural schema, parsed and checked. */
export interface Schema {
  readonly type: SchemaType | undefined
  readonly properties: ReadonlyMap<string, Schema>
  /** Schema of the values of a map; `true` accepts any. */
  readonly additionalProperties: Schema | true | undefined
  readonly items: Schema | undefined
  readonly required: readonly string[]
  readonly nullable: boolean
  readonly defaultValue: { readonly value: unknown } | undefined
  readonly limits: Limits
  readonly intOrString: boolean
  readonly preserveUnknown: boolean
  readonly embedded: boolean
  readonly listType: 'atomic' | 'set' | 'map'
  readonly listMapKeys: readonly string[]
  readonly mapType: 'granular' | 'atomic'
  readonly allOf: readonly Schema[]
  readonly anyOf: readonly Schema[]
  readonly oneOf: readonly Schema[]
  readonly not: Schema | undefined
  readonly rules: readonly CelRule[]
}

/** The keywords that compare one value. Absent keys do not limit. */
export interface Limits {
  readonly enum?: readonly unknown[]
  readonly pattern?: { readonly source: string; readonly expression: RegExp }
  readonly format?: string
  readonly minimum?: number | bigint
  readonly maximum?: number | bigint
  readonly exclusiveMinimum?: boolean
  readonly exclusiveMaximum?: boolean
  readonly multipleOf?: number | bigint
  readonly minLength?: number
  readonly maxLength?: number
  readonly minItems?: number
  readonly maxItems?: number
  readonly minProperties?: number
  readonly maxProperties?: number
}
