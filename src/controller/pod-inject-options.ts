import { InvalidInputError } from '../base/index.ts'
import type { PodInjectSettings } from '../webhook/index.ts'

/** Flags of the pod webhook (spec/webhooks.md §8). */
export const podInjectFlags = {
  'pod-resource-inject': { type: 'boolean', default: false },
  'inject-exclude': { type: 'string', default: 'kube-system,spiderpool,metallb-system,istio-system' },
  'inject-include': { type: 'string', default: '' },
  'inject-trusted': { type: 'string', default: '' },
  'inject-master-nics': { type: 'boolean', default: false },
  'inject-sub-eni': { type: 'string' },
} as const

/** Text for `--help`. */
export const podInjectUsage: string = `\
  --pod-resource-inject    give pods the networks and resources that they or their namespace ask for
  --inject-exclude NS,...  namespaces whose pods are left alone, besides kube-system and --namespace
                           (${podInjectFlags['inject-exclude'].default})
  --inject-include NS,...  the only namespaces whose pods are looked at (all)
  --inject-trusted NS,...  namespaces whose networks may go into pods of others, besides --namespace;
                           *: all (none)
  --inject-master-nics     pods ask the scheduler for nodes with the parent NICs of their networks
  --inject-sub-eni NAME    resource that counts the free sub-interfaces of a node (none)
`

interface Values {
  readonly 'pod-resource-inject': boolean
  readonly 'inject-exclude': string
  readonly 'inject-include': string
  readonly 'inject-trusted': string
  readonly 'inject-master-nics': boolean
  readonly 'inject-sub-eni'?: string | undefined
}

/**
 * The settings of the pod webhook; undefined when it is off.
 * @throws {InvalidInputError} for what is no namespace or no resource name
 */
export function parsePodInject(values: Values, installNamespace: string): PodInjectSettings | undefined {
  const subEniResource = values['inject-sub-eni']
  if (
    subEniResource !== undefined &&
    !/^[a-z0-9]([-.a-z0-9]*[a-z0-9])?\/[-._a-zA-Z0-9]{1,63}$/.test(subEniResource)
  ) {
    const hint = 'write domain/name, such as spidernet.io/sub-eni'
    throw new InvalidInputError('--inject-sub-eni', subEniResource, 'is no extended resource', hint)
  }
  const settings: PodInjectSettings = {
    installNamespace,
    excludedNamespaces: namespacesIn('--inject-exclude', values['inject-exclude']),
    includedNamespaces: namespacesIn('--inject-include', values['inject-include']),
    trustedNamespaces:
      values['inject-trusted'] === '*' ? ['*'] : namespacesIn('--inject-trusted', values['inject-trusted']),
    masterNics: values['inject-master-nics'],
    ...(subEniResource === undefined ? {} : { subEniResource }),
  }
  return values['pod-resource-inject'] ? settings : undefined
}

function namespacesIn(flag: string, text: string): readonly string[] {
  const names = text.split(',').filter((name) => name !== '')
  const bad = names.find((name) => !/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(name))
  if (bad === undefined) return names
  throw new InvalidInputError(flag, bad, 'is no namespace', 'write names, separated by commas')
}
