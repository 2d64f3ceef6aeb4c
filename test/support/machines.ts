// Kinds of KubeVirt, small ones of our own: what we read of them, and all else kept as it is. No KubeVirt runs: the test does its part.
import {
  annotationKeys,
  type KubeObject,
  labelKeys,
  type OwnerReference,
  type Pod,
  type Resource,
  resources,
} from '../../src/api/index.ts'
import type { KubeApi } from '../../src/kube/index.ts'
import { repeat } from './leader-kit.ts'

const never = new AbortController().signal
const kinds = [
  resources.virtualMachine,
  resources.virtualMachineInstance,
  resources.virtualMachineInstanceMigration,
]

/** Installs the three kinds, and waits until they are served. */
export async function installMachineKinds(api: KubeApi): Promise<void> {
  for (const resource of kinds)
    await api.create(resources.customResourceDefinition, definitionOf(resource), never)
  for (const resource of kinds) await repeat(() => api.list(resource, { limit: 1 }, never))
}

function definitionOf({ group, version, plural, kind }: Resource): KubeObject {
  const open = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true }
  const properties = { spec: open, status: open }
  const schema = { openAPIV3Schema: { type: 'object', properties } }
  const definition = {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${group}` },
    spec: {
      group,
      scope: 'Namespaced',
      names: { plural, kind, singular: kind.toLowerCase() },
      versions: [{ name: version, served: true, storage: true, schema }],
    },
  }
  return definition
}

/** The part of KubeVirt's controllers. */
export class Machines {
  readonly #api: KubeApi
  readonly #namespace: string
  readonly #pool: string

  constructor(api: KubeApi, { namespace, pool }: { readonly namespace: string; readonly pool: string }) {
    this.#api = api
    this.#namespace = namespace
    this.#pool = pool
  }

  machine(name: string): Promise<KubeObject> {
    return this.#create(resources.virtualMachine, name, { spec: { runStrategy: 'Always' } })
  }

  /** The instance that a machine runs, or one without a machine. */
  instance(name: string, machine?: KubeObject): Promise<KubeObject> {
    const owner = machine === undefined ? [] : [referenceTo(machine)]
    return this.#create(resources.virtualMachineInstance, name, { metadata: { ownerReferences: owner } })
  }

  migration(name: string, vmiName: string): Promise<KubeObject> {
    return this.#create(resources.virtualMachineInstanceMigration, name, { spec: { vmiName } })
  }

  /** A launcher pod; of a migration, its target. */
  async launcher(name: string, instance: KubeObject, node: string, migration?: KubeObject): Promise<void> {
    const { metadata: moved } = migration ?? {}
    const metadata = {
      ownerReferences: [referenceTo(instance)],
      labels: {
        'kubevirt.io': 'virt-launcher',
        ...(moved?.uid === undefined ? {} : { [labelKeys.kubevirtMigrationUid]: moved.uid }),
      },
      annotations: {
        [annotationKeys.ippool]: JSON.stringify({ ipv4: [this.#pool] }),
        ...(moved === undefined ? {} : { [annotationKeys.kubevirtMigration]: moved.name }),
      },
    }
    const containers = [{ name: 'compute', image: 'compute' }]
    const spec = { nodeName: node, restartPolicy: 'Never', containers }
    await this.#create(resources.pod, name, { metadata, spec })
  }

  /** The pod's containers have ended, as those of a source do when the machine has left it. */
  async finish(name: string, phase: 'Succeeded' | 'Failed' = 'Succeeded'): Promise<void> {
    const body = { status: { phase } }
    const ref = { namespace: this.#namespace, name }
    await this.#api.patch<Pod>(resources.pod, ref, { type: 'merge', body, subresource: 'status' }, never)
  }

  async remove(resource: Resource, name: string): Promise<void> {
    const ref = { namespace: this.#namespace, name }
    await this.#api.delete(resource, ref, { gracePeriodSeconds: 0 }, never)
  }

  #create(resource: Resource, name: string, object: Written): Promise<KubeObject> {
    const { group, version, kind } = resource
    const { metadata = {}, ...rest } = object
    const created = {
      apiVersion: group === '' ? version : `${group}/${version}`,
      kind,
      metadata: { ...metadata, name, namespace: this.#namespace },
      ...rest,
    }
    return repeat(() => this.#api.create<KubeObject>(resource, created, never))
  }
}

interface Written {
  readonly metadata?: Partial<KubeObject['metadata']>
  readonly spec?: object
}

function referenceTo({ apiVersion = '', kind = '', metadata }: KubeObject): OwnerReference {
  return { apiVersion, kind, name: metadata.name, uid: metadata.uid ?? '', controller: true }
}
