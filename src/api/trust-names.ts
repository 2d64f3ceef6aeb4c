/** Names by which controller and agents find and trust each other; all objects are in the product's namespace. */
export const trustNames = {
  /** ConfigMap with the authorities of the controller's certificate. */
  authorities: 'spiderpool-controller-ca',
  authoritiesKey: 'ca.crt',
  /** Secret with the certificates that the controller manages itself. */
  certificates: 'spiderpool-controller-tls',
  /** Audience of the tokens that agents present. */
  audience: 'spiderpool-controller',
  /** The Service of the controller. */
  service: 'spiderpool-controller',
} as const

/** The name in the controller's certificate by which agents verify it, whatever address they call. */
export function controllerServerName(namespace: string): string {
  return `${trustNames.service}.${namespace}.svc`
}
