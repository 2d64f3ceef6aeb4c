import { execFileSync } from 'node:child_process'
import { join } from 'node:path'

/** The chart with its default values as one file, from the top of the repository. */
export const installManifest = 'manifests/install.yaml'

/** The chart asks for one; here it is named and left to the user, since the interfaces of the nodes are not known. */
const defaultNetwork = 'kube-system/default'

const head = `# The chart charts/spiderpool with its default values, rendered for kube-system by \`npm run manifests\`.
# Without the chart's Jobs: create pools by hand, and run "spiderpoolctl uninstall" before you delete this.
#
# Before you apply it:
# - Build and push the two images (docs/images.md), and write their names into the two lines "image:".
# - It changes the network of all new pods: agents put 00-spiderpool.conflist before the configurations of
#   other CNIs, and pods that name no network get ${defaultNetwork} for their first interface, which
#   nothing in this file creates. Create that network right after it (docs/install.md), or replace the name in
#   the two lines "--cluster-network" and the line "clusterNetwork:". Until it is there, new pods wait.
`

/** @param helm path of Helm 4 */
export function renderManifest(root: string, helm: string): string {
  const chart = join(root, 'charts/spiderpool')
  const values = `--set=multus.multusCNI.defaultCniCRName=${defaultNetwork}`
  const args = ['template', 'spiderpool', chart, '--namespace', 'kube-system', '--no-hooks', values]
  return `${head}${execFileSync(helm, args, { encoding: 'utf8', maxBuffer: 1 << 26 })}`
}
