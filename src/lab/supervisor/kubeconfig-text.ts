/** A kubeconfig with one cluster and one user; JSON is YAML too. */
export function kubeconfigText(cluster: object, user: object): string {
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'lab',
    clusters: [{ name: 'lab', cluster }],
    users: [{ name: 'lab', user }],
    contexts: [{ name: 'lab', context: { cluster: 'lab', user: 'lab', namespace: 'default' } }],
  }
  return `${JSON.stringify(config, undefined, 2)}\n`
}
