import {
  type Attributes,
  annotationKeys,
  type EntryGrant,
  type Pod,
  type PodRoute,
  parsePodDns,
  parsePodMetadata,
} from '../../api/index.ts'
import { type Chosen, grantOf, type Selection } from '../../ledger/index.ts'

/** What the answers of one ADD are made of. */
export interface GrantSources {
  readonly pod: Pod
  readonly podRoutes: readonly PodRoute[]
  /** Of this call; undefined when the pod has all it needs. */
  selection(): Selection | undefined
}

/** What the new addresses of one ADD are answered with. */
export class PodGrants {
  readonly #sources: GrantSources
  #attributes: Attributes | undefined

  constructor(sources: GrantSources) {
    this.#sources = sources
  }

  /**
   * @param others what the pod's other NICs were given: a pod route goes to one NIC
   * @throws {InvalidInputError} when an annotation cannot be used
   */
  of({ pool, want }: Chosen, others: readonly EntryGrant[]): EntryGrant {
    const { pod, podRoutes, selection } = this.#sources
    // A repeat is answered with what is recorded: an annotation that was spoilt meanwhile is in nobody's way.
    this.#attributes ??= attributesOf(pod)
    const candidates = selection()?.candidates.find(
      ({ nic, version }) => nic === want.nic && version === want.version,
    )
    return grantOf({
      pool,
      cleanGateway: candidates?.cleanGateway ?? false,
      podRoutes,
      taken: others.flatMap(({ routes = [] }) => routes),
      attributes: this.#attributes,
    })
  }
}

/** DNS settings and metadata of the pod's annotations. @throws {InvalidInputError} */
function attributesOf({ metadata }: Pod): Attributes {
  const { [annotationKeys.dns]: dns, [annotationKeys.metadata]: facts } = metadata.annotations ?? {}
  return {
    ...(dns === undefined ? {} : { dns: parsePodDns(dns) }),
    ...(facts === undefined ? {} : { metadata: parsePodMetadata(facts) }),
  }
}
