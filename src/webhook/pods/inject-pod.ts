import { annotationKeys, type Namespace } from '../../api/index.ts'
import { InvalidInputError } from '../../base/index.ts'
import {
  defaultNetworkAnnotation,
  type NetworkSelection,
  nadNameOf,
  networksAnnotation,
  parseNetworkSelections,
} from '../../network/index.ts'
import { recordOf } from '../admission-review.ts'
import type { Verdict } from '../answer.ts'
import { diffJson } from '../json-patch.ts'
import { injectedResourceOf } from '../multus/block-rules.ts'
import type { InjectionWorld, PodInjectSettings } from '../world.ts'
import { chooseNetworks, type Token } from './choose-networks.ts'
import { type Amounts, mastersOf, type PodObject, withAmounts } from './pod-resources.ts'

// spec/webhooks.md §8, with what its §11 finds wanting put right: an annotation of the user is added to and not replaced, networks
// of namespaces that nobody trusts are left out, attachments go by their own names, each reference counts.

const keys = [annotationKeys.rdmaResourceInject, annotationKeys.networkResourceInject]

/** A pod that is about to be created. */
export interface PodSubject {
  /** Of the request: the object may have none yet. */
  readonly namespace: string
  readonly object: PodObject
}

/** Adds networks and resources to a pod that asks for them, or says why it cannot be given what it asks for. */
export function injectIntoPod(pod: PodSubject, world: InjectionWorld, settings: PodInjectSettings): Verdict {
  try {
    const { object: networked, warnings } = withNetworks(pod, world, settings)
    const wanted = withSchedulingResources({ ...pod, object: networked }, world, settings)
    return { kind: 'patch', patch: diffJson(pod.object, wanted), warnings }
  } catch (error) {
    if (!(error instanceof InvalidInputError)) throw error
    return { kind: 'forbidden', message: `${error.message}; ${error.hint}` }
  }
}

/**
 * Whether the networks there are have to be read: most pods ask for none.
 * @param pod as it came
 */
export function asksForNetworks(
  pod: PodObject,
  namespace: Namespace | undefined,
  { masterNics, subEniResource }: PodInjectSettings,
): boolean {
  const own = annotationsOf(pod)
  const isScheduled = masterNics || subEniResource !== undefined
  const selects = [defaultNetworkAnnotation, networksAnnotation].some((key) => own[key] !== undefined)
  const hasToken = keys.some((key) => (own[key] ?? namespace?.metadata.annotations?.[key]) !== undefined)
  return hasToken || (isScheduled && selects)
}

interface Networked {
  readonly object: PodObject
  readonly warnings: readonly string[]
}

/** Step 1: networks by token, and the RDMA resources that go with them. */
function withNetworks(pod: PodSubject, world: InjectionWorld, settings: PodInjectSettings): Networked {
  const token = tokenOf(pod, world)
  if (token === undefined) return { object: pod.object, warnings: [] }
  const { configs, warnings } = chooseNetworks(
    { podNamespace: pod.namespace, token, settings },
    world.configs,
  )
  const resources = configs.map(injectedResourceOf).filter((name) => name !== '')
  const names = [...new Set(configs.map((one) => `${one.metadata.namespace ?? ''}/${nadNameOf(one)}`))]
  const annotated = withAnnotation(pod, names)
  const amounts: Amounts = new Map(resources.map((name) => [name, 1]))
  return {
    object: withAmounts(annotated.object, amounts, 'limits'),
    warnings: [...warnings, ...annotated.warnings],
  }
}

/** The pod's own annotation counts before that of its namespace, also when it is empty; RDMA before plain networks. */
function tokenOf({ object }: PodSubject, { namespace }: InjectionWorld): Token | undefined {
  const own = annotationsOf(object)
  for (const key of keys) {
    const value = own[key] ?? namespace?.metadata.annotations?.[key]
    if (value !== undefined) return { key, value }
  }
  return undefined
}

/** What the user wrote stays, and comes first. */
function withAnnotation(pod: PodSubject, names: readonly string[]): Networked {
  const before = annotationsOf(pod.object)[networksAnnotation] ?? ''
  const selected = parseNetworkSelections(networksAnnotation, before, pod.namespace)
  const there = new Set(selected.map(({ namespace, name }) => `${namespace}/${name}`))
  const added = names.filter((name) => !there.has(name))
  if (added.length === 0) return { object: pod.object, warnings: [] }
  const told = `${networksAnnotation}: kept what was there, and added ${added.join(', ')}`
  const isJson = /[[{"]/.test(before)
  // The short form knows no names with dots.
  const value =
    isJson || added.some((name) => name.includes('.'))
      ? JSON.stringify([...elementsOf(before, isJson, selected), ...added.map(elementOf)])
      : [...(selected.length === 0 ? [] : [before.trim()]), ...added].join(',')
  return {
    object: annotated(pod.object, { [networksAnnotation]: value }),
    warnings: selected.length > 0 ? [told] : [],
  }
}

function elementsOf(
  text: string,
  isJson: boolean,
  selected: readonly NetworkSelection[],
): readonly unknown[] {
  if (isJson) return JSON.parse(text) as readonly unknown[] // it was parsed as a list before
  return selected.map((one) => ({
    namespace: one.namespace,
    name: one.name,
    ...(one.interface === undefined ? {} : { interface: one.interface }),
  }))
}

function elementOf(name: string): object {
  const [namespace = '', attachment = ''] = name.split('/')
  return { namespace, name: attachment }
}

/** Steps 2 and 3: the scheduler looks for a node that has the parent NICs, and free sub-interfaces. */
function withSchedulingResources(
  pod: PodSubject,
  world: InjectionWorld,
  { masterNics, subEniResource, installNamespace }: PodInjectSettings,
): PodObject {
  if (!masterNics && subEniResource === undefined) return pod.object
  const annotations = annotationsOf(pod.object)
  const read = (key: string, namespace: string) =>
    parseNetworkSelections(key, annotations[key] ?? '', namespace)
  const selected = [
    ...read(defaultNetworkAnnotation, installNamespace),
    ...read(networksAnnotation, pod.namespace),
  ]
  const byName = new Map(world.configs.map((c) => [`${c.metadata.namespace ?? ''}/${nadNameOf(c)}`, c]))
  const referenced = selected.flatMap(({ namespace, name }) => byName.get(`${namespace}/${name}`) ?? [])
  let { object } = pod
  if (masterNics) {
    const masters = [...new Set(referenced.flatMap(mastersOf))].sort()
    object = withAmounts(object, new Map(masters.map((name) => [`spidernet.io/${name}-nic`, 1])), 'both')
  }
  const slots = referenced.filter(
    ({ spec }) => spec.cniType === 'vlan' && spec.vlan?.vlanMode === 'auto',
  ).length
  if (subEniResource === undefined || slots === 0) return object
  return withAmounts(object, new Map([[subEniResource, slots]]), 'both')
}

function annotationsOf(pod: PodObject): Readonly<Record<string, string | undefined>> {
  const found = Object.entries(recordOf(recordOf(pod['metadata'])['annotations']))
  return Object.fromEntries(found.filter((pair): pair is [string, string] => typeof pair[1] === 'string'))
}

function annotated(pod: PodObject, added: Readonly<Record<string, string>>): PodObject {
  const metadata = recordOf(pod['metadata'])
  const annotations = { ...recordOf(metadata['annotations']), ...added }
  return { ...pod, metadata: { ...metadata, annotations } }
}
