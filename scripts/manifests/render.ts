import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { crdFiles } from '../crd-files.ts'

/** The chart with its default values as one file, without definitions, from the top of the repository. */
export const installManifest = 'manifests/install.yaml'
/** The definitions of our kinds. */
export const crdManifest = 'manifests/crds.yaml'
/** The definitions that we share with others. */
export const networkManifest = 'manifests/network-attachment-definition.yaml'
const ipamClaimManifest = 'manifests/ipam-claim.yaml'

const network = 'network-attachment-definitions'
const ipamClaim = 'ipamclaims'
/** The chart asks for one; here it is named and left to the user, since the interfaces of the nodes are not known. */
const defaultNetwork = 'kube-system/default'

const installHead = `# The chart charts/spiderpool with its default values for kube-system, by \`npm run manifests\`.
# Without the chart's Jobs: create pools by hand.
#
# Before you apply it:
# - Apply crds.yaml, and network-attachment-definition.yaml where the cluster has no such definition;
#   ipam-claim.yaml too, where IPAMClaims are to be used.
# - Build and push the two images (docs/images.md), and write their names into the two lines "image:".
# - It changes the network of all new pods: agents put 00-spiderpool.conflist before the configurations of
#   other CNIs, and pods that name no network get ${defaultNetwork} for their first interface, which
#   nothing in this file creates. Create that network right after it (docs/install.md), or replace the name in
#   the two lines "--cluster-network" and the line "clusterNetwork:". Until it is there, new pods wait.
#
# To uninstall: spiderpoolctl uninstall --kubeconfig FILE --namespace kube-system --yes
# and then "kubectl delete -f" this file. Pools and addresses on record stay, until crds.yaml is deleted.
`
const crdHead = `# The definitions of our kinds, made by \`npm run manifests\`. Apply them before install.yaml.
# WARNING: "kubectl delete -f" this file deletes all pools, subnets and addresses on record too.
# It is the last step of an uninstall that is to leave nothing: after "spiderpoolctl uninstall", and after
# install.yaml was deleted.
`
const networkHead = `# The definition of NetworkAttachmentDefinition, made by \`npm run manifests\`.
# Apply it where "kubectl get crd network-attachment-definitions.k8s.cni.cncf.io" finds none.
# WARNING: others use it too. "kubectl delete -f" this file deletes every such network of the cluster.
`
const ipamClaimHead = `# The definition of IPAMClaim, made by \`npm run manifests\`; nothing else needs it.
# Apply it where "kubectl get crd ipamclaims.k8s.cni.cncf.io" finds none.
# WARNING: others use it too. "kubectl delete -f" this file deletes every such claim of the cluster, and with
# them their addresses.
`

/**
 * All files that `npm run manifests` writes: path to text.
 * @param helm path of Helm 4
 */
export function renderManifests(root: string, helm: string): ReadonlyMap<string, string> {
  const chart = join(root, 'charts/spiderpool')
  const values = ['--set=crds.install=false', `--set=multus.multusCNI.defaultCniCRName=${defaultNetwork}`]
  const args = ['template', 'spiderpool', chart, '--namespace', 'kube-system', '--no-hooks', ...values]
  const rendered = execFileSync(helm, args, { encoding: 'utf8', maxBuffer: 1 << 26 })
  const definitions = [...crdFiles()]
  const textOf = (isWanted: (name: string) => boolean) =>
    definitions
      .filter(([name]) => isWanted(name))
      .map(([, text]) => `---\n${text}`)
      .join('')
  const isShared = (name: string) => name.startsWith(network) || name.startsWith(ipamClaim)
  return new Map([
    [installManifest, `${installHead}${rendered}`],
    [crdManifest, `${crdHead}${textOf((name) => !isShared(name))}`],
    [networkManifest, `${networkHead}${textOf((name) => name.startsWith(network))}`],
    [ipamClaimManifest, `${ipamClaimHead}${textOf((name) => name.startsWith(ipamClaim))}`],
  ])
}
