import type { KubeObject, Resource } from '../../../api/index.ts'

export interface GraphNode {
  readonly resource: Resource
  readonly object: KubeObject
}

/** All objects by uid, and who names whom as owner. */
export class OwnerGraph {
  readonly #nodes = new Map<string, GraphNode>()
  readonly #dependents = new Map<string, Set<string>>()

  put(resource: Resource, object: KubeObject): void {
    const { uid } = object.metadata
    if (uid === undefined) return
    this.#unlink(uid)
    this.#nodes.set(uid, { resource, object })
    for (const owner of object.metadata.ownerReferences ?? []) {
      const set = this.#dependents.get(owner.uid)
      if (set === undefined) this.#dependents.set(owner.uid, new Set([uid]))
      else set.add(uid)
    }
  }

  remove(uid: string): void {
    this.#unlink(uid)
    this.#nodes.delete(uid)
  }

  find(uid: string): GraphNode | undefined {
    return this.#nodes.get(uid)
  }

  dependentsOf(uid: string): readonly GraphNode[] {
    const uids = [...(this.#dependents.get(uid) ?? [])]
    return uids.map((dependent) => this.#nodes.get(dependent)).filter((node) => node !== undefined)
  }

  #unlink(uid: string): void {
    for (const owner of this.#nodes.get(uid)?.object.metadata.ownerReferences ?? []) {
      const set = this.#dependents.get(owner.uid)
      set?.delete(uid)
      if (set?.size === 0) this.#dependents.delete(owner.uid)
    }
  }
}
