import { ipamClaimCrd, ipClaimCrd } from './claim-kinds.ts'
import { coordinatorCrd } from './coordinator-kind.ts'
import type { CrdManifest } from './manifest.ts'
import { multusConfigCrd } from './multus-kind.ts'
import { ipPoolCrd, reservedIpCrd, subnetCrd } from './pool-kinds.ts'
import { endpointCrd, ipBlockCrd, networkAttachmentDefinitionCrd } from './record-kinds.ts'

/** All CustomResourceDefinitions that the product installs, in a fixed order. Needs Kubernetes 1.31 or newer. */
export function crdManifests(): readonly CrdManifest[] {
  return [
    ipPoolCrd,
    subnetCrd,
    reservedIpCrd,
    endpointCrd,
    ipBlockCrd,
    multusConfigCrd,
    coordinatorCrd,
    ipClaimCrd,
    networkAttachmentDefinitionCrd,
    ipamClaimCrd,
  ]
}
