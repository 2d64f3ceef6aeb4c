import type { KubeObject } from '../../api/index.ts'
import { ApiError } from '../../kube/index.ts'
import { isGone, type Owner, referenceTo } from './act.ts'
import { planClaims } from './model/claim.ts'
import { type ControllerRevision, controllerRevisionResource, type PodTemplate } from './model/kinds.ts'
import { isSameValue, templateHash } from './model/names.ts'
import { refOf, type World } from './world.ts'

export const revisionHashLabel = 'controller-revision-hash'
const defaultHistoryLimit = 10

export interface History {
  /** The revision of the present template. */
  readonly update: ControllerRevision
  /** Ascending by number, `update` among them. */
  readonly all: readonly ControllerRevision[]
}

/** The revisions of an owner; the present template gets one, or the highest number when it is an old one come back. */
export async function ensureRevision(
  world: World,
  owner: Owner,
  template: PodTemplate,
  signal: AbortSignal,
): Promise<History> {
  const all = planClaims(owner.object, owner.selector, world.revisions.candidatesOf(owner.object)).owned
  const sorted = all.toSorted((a, b) => a.revision - b.revision)
  const highest = sorted.at(-1)?.revision ?? 0
  const known = sorted.findLast((revision) => isSameValue(templateOf(revision), template))
  if (known !== undefined && known.revision === highest) return { update: known, all: sorted }
  if (known !== undefined) {
    const { uid, resourceVersion } = known.metadata
    const body = { metadata: { uid, resourceVersion }, revision: highest + 1 }
    const patch = { type: 'merge', body } as const
    const update = await world.api.patch<ControllerRevision>(
      controllerRevisionResource,
      refOf(known),
      patch,
      signal,
    )
    return { update, all: [...sorted.filter((revision) => revision !== known), update] }
  }
  const update = await createRevision(world, owner, template, { number: highest + 1, signal })
  return { update, all: [...sorted, update] }
}

/** The template that a revision keeps. */
export function templateOf(revision: ControllerRevision): PodTemplate {
  const { $patch: _directive, ...template } = { $patch: '', ...revision.data?.spec?.template }
  return template
}

async function createRevision(
  world: World,
  owner: Owner,
  template: PodTemplate,
  how: { readonly number: number; readonly signal: AbortSignal },
): Promise<ControllerRevision> {
  const hash = templateHash({ uid: owner.object.metadata.uid, template })
  const { name, namespace } = owner.object.metadata
  const annotations = Object.entries(owner.object.metadata.annotations ?? {}).filter(
    ([key]) => key === 'kubernetes.io/change-cause',
  )
  const revision: ControllerRevision = {
    apiVersion: 'apps/v1',
    kind: 'ControllerRevision',
    metadata: {
      name: `${name}-${hash}`,
      ...(namespace === undefined ? {} : { namespace }),
      labels: { ...template.metadata?.labels, [revisionHashLabel]: hash },
      annotations: Object.fromEntries(annotations),
      ownerReferences: [referenceTo(owner)],
    },
    revision: how.number,
    // `kubectl rollout undo` applies this as a strategic merge patch; the directive makes it replace the template.
    data: { spec: { template: { ...template, ...{ $patch: 'replace' } } } },
  }
  try {
    return await world.api.create(controllerRevisionResource, revision, how.signal)
  } catch (error) {
    if (!(error instanceof ApiError) || error.reason !== 'AlreadyExists') throw error
    // Its name is computed from uid and template: it is this one, and the cache has not seen it yet.
    const ref = refOf(revision)
    const there = await world.api.get<ControllerRevision>(controllerRevisionResource, ref, how.signal)
    if (there === undefined) throw error
    return there
  }
}

/** Deletes the oldest revisions beyond the history limit that nobody needs. */
export async function forgetRevisions(
  world: World,
  history: History,
  needed: ReadonlySet<string>,
  how: { readonly limit: number | undefined; readonly signal: AbortSignal },
): Promise<void> {
  const idle = history.all.filter(
    (revision) => revision !== history.update && !needed.has(revision.metadata.name),
  )
  const surplus = idle.slice(0, Math.max(0, idle.length - (how.limit ?? defaultHistoryLimit)))
  for (const revision of surplus) {
    const { uid } = revision.metadata
    const options = uid === undefined ? {} : { uid }
    try {
      await world.api.delete(controllerRevisionResource, refOf(revision), options, how.signal)
    } catch (error) {
      if (!isGone(error)) throw error
    }
  }
}

/** The label of a pod that says which revision it follows. */
export function revisionOfPod(pod: KubeObject): string {
  return pod.metadata.labels?.[revisionHashLabel] ?? ''
}
