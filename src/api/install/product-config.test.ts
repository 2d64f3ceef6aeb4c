import assert from 'node:assert/strict'
import test from 'node:test'
import { defaultProductConfig, parseProductConfig } from './product-config.ts'

void test('missing keys have their documented defaults, not zero', () => {
  for (const nothing of [undefined, null, {}])
    assert.deepEqual(parseProductConfig(nothing), { config: defaultProductConfig, warnings: [] })
})

void test('what the file says holds', () => {
  const { config, warnings } = parseProductConfig({
    ipamUnixSocketPath: '/run/one.sock',
    enableIPv6: false,
    enableStatefulSet: false,
    enableKubevirtStaticIP: false,
    enableValidatingResourcesDeletedWebhook: true,
    podResourceInject: {
      enabled: true,
      namespacesExclude: ['kube-system'],
      namespacesInclude: [],
      trustedNamespaces: ['netops'],
    },
  })
  assert.deepEqual(warnings, [])
  assert.deepEqual(config, {
    ...defaultProductConfig,
    ipamUnixSocketPath: '/run/one.sock',
    enableIPv6: false,
    enableStatefulSet: false,
    enableKubevirtStaticIP: false,
    enableValidatingResourcesDeletedWebhook: true,
    podResourceInject: {
      enabled: true,
      namespacesExclude: ['kube-system'],
      namespacesInclude: [],
      trustedNamespaces: ['netops'],
    },
  })
})

void test('unknown keys, and keys that ask for what this release does not do, are warned of by name', () => {
  const { warnings } = parseProductConfig({
    enableIpv4: true,
    enableIPConflictDetection: true,
    tuneSysctlConfig: false,
    iaasNetworkProvider: { serverUrl: '', httpRequestTimeout: '' },
    agent: { networkResourcePlugin: { enabled: true } },
    podResourceInject: { namespaces: [] },
  })
  assert.deepEqual(warnings, [
    'conf.yml: the key "enableIpv4" is not known, and ignored',
    'conf.yml: "enableIPConflictDetection" has no effect in this release',
    'conf.yml: "agent" has no effect in this release',
    'conf.yml: the key "podResourceInject.namespaces" is not known, and ignored',
  ])
})

void test('a wrong value is refused with its key', () => {
  const refused: readonly (readonly [unknown, RegExp])[] = [
    ['text', /conf\.yml "text".*is no map/],
    [{ enableIPv4: 'true' }, /enableIPv4 "true".*neither true nor false/],
    [{ ipamUnixSocketPath: 'run/x' }, /ipamUnixSocketPath "run\/x".*no absolute path/],
    [{ podResourceInject: [] }, /podResourceInject \[\].*is no map/],
    [
      { podResourceInject: { namespacesExclude: ['No'] } },
      /podResourceInject\.namespacesExclude .*no list of namespaces/,
    ],
    [{ enableIPv4: false, enableIPv6: false }, /enableIPv4 false.*so is enableIPv6/],
  ]
  for (const [value, message] of refused)
    assert.throws(() => parseProductConfig(value), { code: 'INVALID_INPUT', message })
})
