import type { KubeObject, Resource } from '../meta.ts'
import type { Rule, Schema } from './schema.ts'

/** A column of `kubectl get`. */
export interface PrinterColumn {
  readonly name: string
  readonly type: 'string' | 'integer' | 'boolean' | 'date'
  readonly jsonPath: string
  readonly description?: string
  readonly priority?: number
}

/** A CustomResourceDefinition of apiextensions.k8s.io/v1, as we write it. */
export interface CrdManifest extends KubeObject {
  readonly apiVersion: 'apiextensions.k8s.io/v1'
  readonly kind: 'CustomResourceDefinition'
  readonly spec: {
    readonly group: string
    readonly names: {
      readonly categories?: readonly string[]
      readonly kind: string
      readonly listKind: string
      readonly plural: string
      readonly shortNames?: readonly string[]
      readonly singular: string
    }
    readonly scope: 'Cluster' | 'Namespaced'
    readonly versions: readonly CrdVersion[]
  }
}

/** The one version of a kind. */
interface CrdVersion {
  readonly additionalPrinterColumns?: readonly PrinterColumn[]
  readonly name: string
  readonly schema: { readonly openAPIV3Schema: Schema }
  readonly served: true
  readonly storage: true
  readonly subresources?: { readonly status?: Readonly<Record<string, never>> }
}

/** What distinguishes one kind from another. */
export interface CrdParts {
  readonly resource: Resource
  readonly singular: string
  readonly shortName?: string
  readonly category?: string
  readonly description: string
  /** Root properties besides apiVersion, kind and metadata. */
  readonly properties: Readonly<Record<string, Schema>>
  readonly rules?: readonly Rule[]
  readonly columns?: readonly PrinterColumn[]
  /** Absent: the manifest has no such key, which differs from an empty one on the wire. */
  readonly subresources?: CrdVersion['subresources']
}

/** The manifest of one kind. */
export function crdManifest(parts: CrdParts): CrdManifest {
  const { resource, columns, subresources, category, shortName } = parts
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: {
      annotations: { 'controller-gen.kubebuilder.io/version': '(unknown)' },
      name: `${resource.plural}.${resource.group}`,
    },
    spec: {
      group: resource.group,
      names: {
        ...(category === undefined ? {} : { categories: [category] }),
        kind: resource.kind,
        listKind: `${resource.kind}List`,
        plural: resource.plural,
        ...(shortName === undefined ? {} : { shortNames: [shortName] }),
        singular: parts.singular,
      },
      scope: resource.namespaced ? 'Namespaced' : 'Cluster',
      versions: [
        {
          ...(columns === undefined ? {} : { additionalPrinterColumns: columns }),
          name: resource.version,
          schema: { openAPIV3Schema: rootSchema(parts) },
          served: true,
          storage: true,
          ...(subresources === undefined ? {} : { subresources }),
        },
      ],
    },
  }
}

function rootSchema(parts: CrdParts): Schema {
  return {
    type: 'object',
    description: parts.description,
    ...(parts.rules === undefined ? {} : { 'x-kubernetes-validations': parts.rules }),
    properties: {
      apiVersion: { type: 'string', description: 'Group and version of this kind.' },
      kind: { type: 'string', description: 'Name of this kind.' },
      metadata: { type: 'object' },
      ...parts.properties,
    },
  }
}
