import { execFileSync } from 'node:child_process'
import { join } from 'node:path'

/** The chart with its default values as one file, from the top of the repository. */
export const installManifest = 'manifests/install.yaml'

const head = `# The chart charts/spiderpool with its default values, rendered for namespace kube-system by \`npm run manifests\`.
# Without the chart's Jobs: create pools by hand, and run "spiderpoolctl uninstall" before you delete this.
`

/** @param helm path of Helm 4 */
export function renderManifest(root: string, helm: string): string {
  const chart = join(root, 'charts/spiderpool')
  const args = ['template', 'spiderpool', chart, '--namespace', 'kube-system', '--no-hooks']
  return `${head}${execFileSync(helm, args, { encoding: 'utf8', maxBuffer: 1 << 26 })}`
}
