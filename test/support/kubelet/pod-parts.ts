// What a kubelet makes of a pod's specification: environment, arguments, and the folders that are mounted.
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type KubeObject, resources } from '../../../src/api/index.ts'
import type { KubeApi } from '../../../src/kube/index.ts'
import type { Mount } from '../images/container.ts'

interface EnvVar {
  readonly name: string
  readonly value?: string
  readonly valueFrom?: { readonly fieldRef?: { readonly fieldPath: string } }
}

interface Probe {
  readonly httpGet?: {
    readonly host?: string
    readonly path: string
    readonly port: number | string
    readonly scheme?: string
  }
}

export interface ContainerSpec {
  readonly image: string
  readonly command?: readonly string[]
  readonly args?: readonly string[]
  readonly env?: readonly EnvVar[]
  readonly ports?: readonly { readonly name?: string; readonly containerPort: number }[]
  readonly readinessProbe?: Probe
  readonly volumeMounts?: readonly {
    readonly name: string
    readonly mountPath: string
    readonly readOnly?: boolean
  }[]
  readonly securityContext?: {
    readonly runAsUser?: number
    readonly runAsGroup?: number
    readonly readOnlyRootFilesystem?: boolean
    readonly capabilities?: { readonly add?: readonly string[]; readonly drop?: readonly string[] }
  }
}

interface Source {
  readonly serviceAccountToken?: {
    readonly audience?: string
    readonly expirationSeconds?: number
    readonly path: string
  }
  readonly configMap?: { readonly name: string }
  readonly downwardAPI?: {
    readonly items: readonly { readonly path: string; readonly fieldRef: { readonly fieldPath: string } }[]
  }
}

interface Volume {
  readonly name: string
  readonly configMap?: { readonly name: string }
  readonly secret?: { readonly secretName: string }
  readonly hostPath?: { readonly path: string }
  readonly projected?: { readonly sources: readonly Source[] }
}

/** A pod with what this kubelet looks at. */
export interface TestPod extends KubeObject {
  readonly spec: {
    readonly nodeName?: string
    readonly serviceAccountName?: string
    readonly restartPolicy?: string
    readonly hostNetwork?: boolean
    readonly containers: readonly ContainerSpec[]
    readonly volumes?: readonly Volume[]
  }
  readonly status?: { readonly phase?: string }
}

/** What a pod finds on its node. */
export interface PodPlace {
  readonly api: KubeApi
  readonly podIp: string
  /** Folder of this pod. */
  readonly dir: string
  /** Folder that stands for the root of the node's file system. */
  readonly hostDir: string
  /** Variables of the Services. */
  readonly serviceEnv: Readonly<Record<string, string>>
}

function field(pod: TestPod, path: string, podIp: string): string {
  const known: Readonly<Record<string, string | undefined>> = {
    'metadata.name': pod.metadata.name,
    'metadata.namespace': pod.metadata.namespace,
    'metadata.uid': pod.metadata.uid,
    'spec.nodeName': pod.spec.nodeName,
    'status.podIP': podIp,
  }
  const value = known[path]
  if (value === undefined) throw new Error(`fieldPath ${path} is not known to this kubelet`)
  return value
}

const expand = (text: string, env: Readonly<Record<string, string>>): string =>
  text.replaceAll(/\$\(([A-Za-z_][A-Za-z0-9_]*)\)/g, (whole, name: string) => env[name] ?? whole)

/** Environment and command of the container. @param entrypoint of its image */
export function commandOf(
  pod: TestPod,
  container: ContainerSpec,
  place: PodPlace,
  entrypoint: readonly string[],
): { readonly env: Readonly<Record<string, string>>; readonly command: readonly string[] } {
  const env: Record<string, string> = { ...place.serviceEnv }
  for (const { name, value, valueFrom } of container.env ?? []) {
    const path = valueFrom?.fieldRef?.fieldPath
    env[name] = path === undefined ? expand(value ?? '', env) : field(pod, path, place.podIp)
  }
  const args = (container.args ?? []).map((arg) => expand(arg, env))
  return { env, command: [...(container.command ?? entrypoint), ...args] }
}

/** Makes the volumes of the container. */
export async function mountsOf(
  pod: TestPod,
  container: ContainerSpec,
  place: PodPlace,
  signal: AbortSignal,
): Promise<readonly Mount[]> {
  const mounts: Mount[] = []
  for (const { name, mountPath, readOnly } of container.volumeMounts ?? []) {
    const volume = pod.spec.volumes?.find((one) => one.name === name)
    if (volume === undefined) throw new Error(`pod ${pod.metadata.name}: there is no volume ${name}`)
    const from = await folderOf(pod, volume, place, signal)
    mounts.push({ from, path: mountPath, access: readOnly === true ? 'read' : 'write' })
  }
  return mounts
}

async function folderOf(pod: TestPod, volume: Volume, place: PodPlace, signal: AbortSignal): Promise<string> {
  if (volume.hostPath !== undefined) {
    const folder = join(place.hostDir, volume.hostPath.path)
    mkdirSync(folder, { recursive: true })
    return folder
  }
  const folder = join(place.dir, 'volumes', volume.name)
  mkdirSync(folder, { recursive: true })
  const { namespace = '' } = pod.metadata
  const keep = (path: string, text: string | Buffer): void => {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), text)
  }
  const configMap = async (name: string): Promise<void> => {
    const data = await dataOf(place.api, resources.configMap, { namespace, name }, signal)
    for (const [key, text] of Object.entries(data)) keep(key, text)
  }
  if (volume.configMap !== undefined) await configMap(volume.configMap.name)
  if (volume.secret !== undefined) {
    const ref = { namespace, name: volume.secret.secretName }
    const data = await dataOf(place.api, resources.secret, ref, signal)
    for (const [key, text] of Object.entries(data)) keep(key, Buffer.from(text, 'base64'))
  }
  for (const source of volume.projected?.sources ?? []) {
    const { serviceAccountToken: token, downwardAPI } = source
    if (token !== undefined) keep(token.path, await tokenOf(pod, token, place.api, signal))
    if (source.configMap !== undefined) await configMap(source.configMap.name)
    for (const { path, fieldRef } of downwardAPI?.items ?? [])
      keep(path, field(pod, fieldRef.fieldPath, place.podIp))
  }
  return folder
}

async function dataOf(
  api: KubeApi,
  resource: (typeof resources)['configMap'],
  ref: { readonly namespace: string; readonly name: string },
  signal: AbortSignal,
): Promise<Readonly<Record<string, string>>> {
  const found = await api.get<KubeObject & { readonly data?: Record<string, string> }>(resource, ref, signal)
  if (found === undefined) throw new Error(`${resource.kind} ${ref.namespace}/${ref.name} is not there yet`)
  return found.data ?? {}
}

async function tokenOf(
  pod: TestPod,
  { audience, expirationSeconds }: NonNullable<Source['serviceAccountToken']>,
  api: KubeApi,
  signal: AbortSignal,
): Promise<string> {
  const { name, namespace, uid } = pod.metadata
  const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${pod.spec.serviceAccountName}/token`
  const body = {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    spec: {
      ...(audience === undefined ? {} : { audiences: [audience] }),
      expirationSeconds,
      boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name, uid },
    },
  }
  const { status } = await api.request<{ readonly status: { readonly token: string } }>(
    'POST',
    path,
    body,
    signal,
  )
  return status.token
}
