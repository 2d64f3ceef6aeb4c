import assert from 'node:assert/strict'
import test from 'node:test'
import { defaultProductConfig } from '../api/index.ts'
import { parseControllerOptions, withConfig } from './options.ts'

const parse = (...args: readonly string[]) => parseControllerOptions(['--in-cluster', ...args], {}, 'host-1')

void test('conf.yml turns off what flags leave on, and never on what they turn off', () => {
  const config = {
    ...defaultProductConfig,
    enableIPv4: false,
    enableStatefulSet: false,
    enableKubevirtStaticIP: false,
    enableSpiderSubnet: false,
    enableValidatingResourcesDeletedWebhook: true,
  }
  const options = withConfig(parse('--disable-ipv6'), config)
  const { enableIpv4, enableIpv6, enableStatefulSet, enableSpiderSubnet, guardDeletion } = options
  assert.deepEqual(
    { enableIpv4, enableIpv6, enableStatefulSet, enableSpiderSubnet, guardDeletion },
    {
      enableIpv4: false,
      enableIpv6: false,
      enableStatefulSet: false,
      enableSpiderSubnet: false,
      guardDeletion: true,
    },
  )
  assert.equal(withConfig(parse('--disable-ipv6'), defaultProductConfig).enableIpv6, false)
  assert.equal(options.enableKubevirtStaticIp, false)
  assert.equal(withConfig(parse(), defaultProductConfig).enableKubevirtStaticIp, true)
})

void test('conf.yml turns on the pod webhook; flags say more than it can', () => {
  const lists = { namespacesExclude: ['a'], namespacesInclude: ['b'], trustedNamespaces: ['c'] }
  const podResourceInject = { enabled: true, ...lists }
  const config = { ...defaultProductConfig, podResourceInject }
  assert.equal(withConfig(parse(), defaultProductConfig).podInject, undefined)
  const fromFile = withConfig(parse('--namespace', 'netops'), config).podInject
  assert.deepEqual(fromFile, {
    installNamespace: 'netops',
    excludedNamespaces: ['a'],
    includedNamespaces: ['b'],
    trustedNamespaces: ['c'],
    masterNics: false,
  })
  const fromFlags = withConfig(parse('--pod-resource-inject', '--inject-exclude', 'c'), config).podInject
  assert.deepEqual(fromFlags?.excludedNamespaces, ['c'])
})

void test('the Service of the webhooks is NAMESPACE/NAME:PORT', () => {
  assert.equal(parse().webhookService, undefined)
  const { webhookService } = parse('--webhook-service', 'netops/spiderpool-controller:5722')
  assert.deepEqual(webhookService, { namespace: 'netops', name: 'spiderpool-controller', port: 5722 })
  for (const text of ['name:1', 'a/b', 'a/b:0', 'a/b:70000', 'A/b:1']) {
    assert.throws(() => parse('--webhook-service', text), {
      code: 'INVALID_INPUT',
      message: /--webhook-service .*is not NAMESPACE\/NAME:PORT/,
    })
  }
})

void test('a replica on an IPv6 address is reached by a bracketed URL', () => {
  const { host, port, url } = parse('--listen', 'fd00::7:5722')
  assert.deepEqual({ host, port, url }, { host: 'fd00::7', port: 5722, url: 'https://[fd00::7]:5722' })
})
