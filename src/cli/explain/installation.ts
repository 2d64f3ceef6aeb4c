import { defaultProductConfig, type KubeObject, parseProductConfig, resources } from '../../api/index.ts'
import type { DryRunSettings } from '../../controller/index.ts'
import { ApiError, findByName, type KubeApi, parseYamlDocuments } from '../../kube/index.ts'

interface ConfigMap extends KubeObject {
  readonly data?: Readonly<Record<string, string>>
}

const configName = 'spiderpool-conf'

/**
 * How the installation is set up, from its ConfigMap: in the namespace that is named, else wherever it is.
 * @returns with notes on what is not known, for the person who asks
 */
export async function readInstallation(
  given: { readonly namespace: string | undefined; readonly clusterNetwork: string | undefined },
  api: Pick<KubeApi, 'get' | 'list'>,
  signal: AbortSignal,
): Promise<{ readonly settings: DryRunSettings; readonly notes: readonly string[] }> {
  const { found, note } = await findConfig(given.namespace, api, signal)
  const data = found?.data ?? {}
  const text = data['conf.yml']
  const [value] = text === undefined ? [] : parseYamlDocuments(text, `ConfigMap ${configName}: conf.yml`)
  const config = value === undefined ? defaultProductConfig : parseProductConfig(value).config
  const clusterNetwork = given.clusterNetwork ?? data['clusterNetwork'] ?? ''
  const unknownNetwork =
    'the network of the first NIC is not known here: its CNI configuration is looked at on the node alone; name it by --cluster-network'
  return {
    settings: {
      installNamespace: given.namespace ?? found?.metadata.namespace ?? 'kube-system',
      clusterNetwork,
      config,
    },
    notes: [...(note === undefined ? [] : [note]), ...(clusterNetwork === '' ? [unknownNetwork] : [])],
  }
}

async function findConfig(
  namespace: string | undefined,
  api: Pick<KubeApi, 'get' | 'list'>,
  signal: AbortSignal,
): Promise<{ readonly found?: ConfigMap | undefined; readonly note?: string }> {
  const defaults = 'IPv4, IPv6 and sticky addresses are taken to be on'
  try {
    const found =
      namespace === undefined
        ? await findByName<ConfigMap>(api, resources.configMap, { name: configName }, signal)
        : await api.get<ConfigMap>(resources.configMap, { namespace, name: configName }, signal)
    return found === undefined ? { note: `there is no ConfigMap ${configName}: ${defaults}` } : { found }
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 403) throw error
    return {
      note: `ConfigMap ${configName} may not be read: ${defaults}; name its namespace by --install-namespace`,
    }
  }
}
