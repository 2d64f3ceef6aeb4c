import { type AttachmentEnvironment, CniError, cniCodes } from '../cni/index.ts'
import type { Namespaces } from './ports.ts'

/** The pod that a call is for, as the runtime says. */
export interface PodIdentity {
  readonly podNamespace: string
  readonly podName: string
  readonly podUid: string // '' when the runtime does not say
}

const names = { podNamespace: 'K8S_POD_NAMESPACE', podName: 'K8S_POD_NAME', podUid: 'K8S_POD_UID' }
const nameForm = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/

/**
 * Reads the pod from CNI_ARGS.
 * @throws {CniError} code 4 naming all that is missing, or the bad one
 */
export function podOf(env: AttachmentEnvironment): PodIdentity {
  const missing = [names.podNamespace, names.podName].filter((name) => (env.args.get(name) ?? '') === '')
  if (missing.length > 0)
    throw badArgs(
      `${missing.join(', ')} missing in CNI_ARGS`,
      `a Kubernetes runtime sets ${missing.join(' and ')}`,
    )
  const value = (name: string): string => env.args.get(name) ?? ''
  for (const name of [names.podNamespace, names.podName])
    if (!nameForm.test(value(name)))
      throw badArgs(
        `${name} ${JSON.stringify(value(name))} is not a Kubernetes name`,
        'pass the name of the pod',
      )
  if (!/^[-A-Za-z0-9]{0,128}$/.test(value(names.podUid)))
    throw badArgs(
      `${names.podUid} ${JSON.stringify(value(names.podUid))} is not a uid`,
      'pass the uid of the pod',
    )
  return {
    podNamespace: value(names.podNamespace),
    podName: value(names.podName),
    podUid: value(names.podUid),
  }
}

function badArgs(problem: string, hint: string): CniError {
  return new CniError({
    cniCode: cniCodes.environment,
    slug: 'environment',
    message: `Cannot accept CNI_ARGS: ${problem}`,
    hint,
  })
}

/**
 * Checks, before anything is changed, that CNI_NETNS is a namespace and not that of the node or our own.
 * @returns its identity
 * @throws {CniError} code 8
 */
export function requireForeignNamespace(env: AttachmentEnvironment, namespaces: Namespaces): string {
  const identity = namespaces.identity(env.netns)
  const refuse = (problem: string, hint: string): CniError =>
    new CniError({
      cniCode: cniCodes.netns,
      slug: 'network-namespace',
      message: `Cannot accept CNI_NETNS ${JSON.stringify(env.netns)}: it ${problem}`,
      hint,
    })
  if (identity === undefined)
    throw refuse('is no network namespace', 'pass the path of the namespace of the sandbox')
  if (!env.allowsOwnNetns && namespaces.hostIdentities().includes(identity))
    throw refuse(
      'is the namespace of the node',
      'pass the namespace of the sandbox; host-network pods need no CNI call',
    )
  return identity
}
