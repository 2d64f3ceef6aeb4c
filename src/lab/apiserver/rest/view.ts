import { stringifyJson } from '../../../base/index.ts'
import type { Format } from '../http/accept.ts'
import { apiVersionOf, type Kind } from '../kinds/kind.ts'
import type { ApiObject } from '../object.ts'
import type { JsonObject } from '../schema/record.ts'
import type { StoredRecord } from '../store/record.ts'
import { makeTable, type TableOptions } from '../tables/table.ts'

/** How objects are to be shown to one caller. */
export interface View {
  readonly kind: Kind
  readonly version: string
  readonly format: Format
  readonly table: TableOptions
}

/** The object in the version that was asked for. */
export function inVersion(object: ApiObject, kind: Kind, version: string): ApiObject {
  const apiVersion = apiVersionOf(kind.group, version)
  return object.apiVersion === apiVersion ? object : { ...object, apiVersion }
}

/** JSON text of one object; the stored text itself wherever that is possible. */
export function objectText(record: StoredRecord, view: View, isFirst = true): string {
  const { kind, version, format } = view
  const object = inVersion(record.object, kind, version)
  switch (format.kind) {
    case 'metadata':
      return stringifyJson(partial(object, format.apiVersion))
    case 'table':
      return stringifyJson(makeTable([object], view, { resourceVersion: String(record.version) }, isFirst))
    default:
      return object === record.object ? record.text : stringifyJson(object)
  }
}

function partial(object: ApiObject, apiVersion: string): JsonObject {
  return { kind: 'PartialObjectMetadata', apiVersion, metadata: object.metadata }
}

/** JSON text of a list. */
export function listText(records: readonly StoredRecord[], view: View, metadata: JsonObject): string {
  const { kind, version, format } = view
  if (format.kind === 'table') {
    const objects = records.map((record) => inVersion(record.object, kind, version))
    return stringifyJson(makeTable(objects, view, metadata, true))
  }
  const head =
    format.kind === 'metadata'
      ? { kind: 'PartialObjectMetadataList', apiVersion: format.apiVersion, metadata }
      : { kind: kind.listKind, apiVersion: apiVersionOf(kind.group, version), metadata }
  const items = records.map((record) => objectText(record, view)).join(',')
  return `${stringifyJson(head).slice(0, -1)},"items":[${items}]}`
}
