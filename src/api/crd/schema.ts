/** The part of OpenAPI v3 that a structural schema of a CustomResourceDefinition uses here. */
export interface Schema {
  readonly type?: 'object' | 'array' | 'string' | 'integer' | 'boolean'
  readonly format?: 'int32' | 'int64'
  readonly description?: string
  readonly default?: boolean | number | string
  readonly enum?: readonly (string | number | boolean)[]
  readonly minimum?: number
  readonly maximum?: number
  readonly maxLength?: number
  readonly maxItems?: number
  readonly maxProperties?: number
  readonly items?: Schema
  readonly properties?: Readonly<Record<string, Schema>>
  readonly additionalProperties?: Schema
  readonly required?: readonly string[]
  readonly 'x-kubernetes-list-type'?: 'atomic'
  readonly 'x-kubernetes-map-type'?: 'atomic'
  readonly 'x-kubernetes-preserve-unknown-fields'?: true
  readonly 'x-kubernetes-validations'?: readonly Rule[]
}

/** One rule in the Common Expression Language; `self` is the value that carries it, `oldSelf` the stored one. */
export interface Rule {
  readonly rule: string
  readonly message: string
  readonly messageExpression?: string
  /** The member at fault, such as `.gateway`; absent: the value that carries the rule. */
  readonly fieldPath?: string
  readonly reason?: 'FieldValueInvalid' | 'FieldValueForbidden' | 'FieldValueRequired'
}

type Extra = Omit<Schema, 'type' | 'format' | 'items' | 'properties' | 'description'>

/** An object; properties come out in alphabetical order, `required` sorted. */
export function object(
  description: string,
  properties: Readonly<Record<string, Schema>>,
  extra: Extra = {},
): Schema {
  const names = Object.keys(properties).sort()
  const sorted = Object.fromEntries(names.map((name) => [name, properties[name] ?? {}]))
  const required = extra.required === undefined ? {} : { required: [...extra.required].sort() }
  return { type: 'object', description, ...extra, ...required, properties: sorted }
}

/** A list of `items`. */
export function list(description: string, items: Schema, extra: Extra = {}): Schema {
  return { type: 'array', description, ...extra, items }
}

/** A map of names to `values`. */
export function map(description: string, values: Schema, extra: Extra = {}): Schema {
  return { type: 'object', description, ...extra, additionalProperties: values }
}

/** Text. */
export function text(description: string, extra: Extra = {}): Schema {
  return { type: 'string', description, ...extra }
}

/** True or false. */
export function flag(description: string, extra: Extra = {}): Schema {
  return { type: 'boolean', description, ...extra }
}

/** An integer without `format`. */
export function integer(description: string, extra: Extra = {}): Schema {
  return { type: 'integer', description, ...extra }
}

/** An integer of 32 bits. */
export function int32(description: string, extra: Extra = {}): Schema {
  return { type: 'integer', format: 'int32', description, ...extra }
}

/** An integer of 64 bits. */
export function int64(description: string, extra: Extra = {}): Schema {
  return { type: 'integer', format: 'int64', description, ...extra }
}

/** A list of names or other plain text. */
export function textList(description: string, extra: Extra = {}): Schema {
  return list(description, { type: 'string' }, extra)
}
