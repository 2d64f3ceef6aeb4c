// Seeded faults of environment and stdin: each is answered with field, value and remedy, and a good call succeeds after it.
import assert from 'node:assert/strict'
import test, { after, before } from 'node:test'
import { Seeded } from '../simulation/seeded.ts'
import { AgentKit, ipamConfig, PathNamespaces } from '../support/agent-kit.ts'

type Random = () => number
interface Fault {
  readonly command?: string
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly stdin?: unknown
  /** What the message must name. */
  readonly field: string
  /** What it must show of the value; absent where there is none to show. */
  readonly value?: string
}

const seed = 20_261_121
const rounds = 3

const pick = <T>(random: Random, items: readonly [T, ...T[]]): T =>
  items[Math.floor(random() * items.length)] ?? items[0]
const word = (random: Random, length = 8): string =>
  Array.from({ length }, () => String.fromCharCode(97 + Math.floor(random() * 26))).join('')
const notText = (random: Random): unknown =>
  pick<unknown>(random, [Math.floor(random() * 1e6), true, [word(random)], { [word(random)]: 1 }])
const shown = (value: unknown): string => JSON.stringify(value)
const ipam = (more: object, top: object = {}) =>
  ipamConfig('1.1.0', { ...top, ipam: { type: 'spiderpool', ...more } })
const withPod = (more: Readonly<Record<string, string>>) =>
  Object.entries({ K8S_POD_NAMESPACE: 'default', K8S_POD_NAME: 'web-1', K8S_POD_UID: 'u', ...more })
    .filter(([, value]) => value !== '')
    .map(([key, value]) => `${key}=${value}`)
    .join(';')

const kinds: Readonly<Record<string, (random: Random) => Fault>> = {
  'unknown command': (r) => {
    const CNI_COMMAND = word(r).toUpperCase()
    return { env: { CNI_COMMAND }, field: 'CNI_COMMAND', value: CNI_COMMAND }
  },
  'missing variable': (r) => {
    const field = pick(r, ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME', 'CNI_PATH'])
    return { env: { [field]: pick(r, [undefined, '']) }, field }
  },
  'container id with a bad character': (r) => {
    const CNI_CONTAINERID = word(r, 3) + pick(r, ['/', ' ', ':', '!', 'é', '\n']) + word(r, 3)
    return { env: { CNI_CONTAINERID }, field: 'CNI_CONTAINERID', value: shown(CNI_CONTAINERID) }
  },
  'container id that begins badly': (r) => {
    const CNI_CONTAINERID = pick(r, ['.', '-', '_']) + word(r)
    return { env: { CNI_CONTAINERID }, field: 'CNI_CONTAINERID', value: shown(CNI_CONTAINERID) }
  },
  'container id too long': (r) => {
    const CNI_CONTAINERID = word(r, 201 + Math.floor(r() * 100))
    return { env: { CNI_CONTAINERID }, field: 'CNI_CONTAINERID', value: CNI_CONTAINERID.slice(0, 100) }
  },
  'interface name with a bad character': (r) => {
    const CNI_IFNAME = word(r, 3) + pick(r, ['/', ' ', ':', '\t']) + word(r, 3)
    return { env: { CNI_IFNAME }, field: 'CNI_IFNAME', value: shown(CNI_IFNAME) }
  },
  'interface name too long': (r) => {
    const CNI_IFNAME = word(r, 16 + Math.floor(r() * 20))
    return { env: { CNI_IFNAME }, field: 'CNI_IFNAME', value: CNI_IFNAME }
  },
  'interface name too long in bytes': (r) => {
    const CNI_IFNAME = 'é'.repeat(8 + Math.floor(r() * 4))
    return { env: { CNI_IFNAME }, field: 'CNI_IFNAME', value: CNI_IFNAME }
  },
  'interface name of dots': (r) => {
    const CNI_IFNAME = pick(r, ['.', '..'])
    return { env: { CNI_IFNAME }, field: 'CNI_IFNAME', value: shown(CNI_IFNAME) }
  },
  'relative namespace path': (r) => {
    const CNI_NETNS = `run/${word(r)}`
    return { env: { CNI_NETNS }, field: 'CNI_NETNS', value: CNI_NETNS }
  },
  'namespace that is none': (r) => {
    const CNI_NETNS = `/tmp/${word(r)}`
    return { env: { CNI_NETNS }, field: 'CNI_NETNS', value: CNI_NETNS }
  },
  'namespace of the node': () => ({
    env: { CNI_NETNS: '/netns/host' },
    field: 'CNI_NETNS',
    value: '/netns/host',
  }),
  'argument without value': (r) => {
    const bad = word(r)
    return { env: { CNI_ARGS: `${withPod({})};${bad}` }, field: 'CNI_ARGS', value: bad }
  },
  'argument with two values': (r) => {
    const bad = `${word(r)}=${word(r)}=${word(r)}`
    return { env: { CNI_ARGS: `${bad};${withPod({})}` }, field: 'CNI_ARGS', value: bad }
  },
  'argument that is empty': () => ({ env: { CNI_ARGS: `${withPod({})};` }, field: 'CNI_ARGS', value: '""' }),
  'pod not named': (r) => {
    const field = pick(r, ['K8S_POD_NAMESPACE', 'K8S_POD_NAME'])
    return { env: { CNI_ARGS: withPod({ [field]: '' }) }, field }
  },
  'pod name that is none': (r) => {
    const field = pick(r, ['K8S_POD_NAMESPACE', 'K8S_POD_NAME'])
    const value = `${word(r)}/${word(r)}`
    return { env: { CNI_ARGS: withPod({ [field]: value }) }, field, value }
  },
  'pod uid that is none': (r) => {
    const value = `../${word(r)}`
    return { env: { CNI_ARGS: withPod({ K8S_POD_UID: value }) }, field: 'K8S_POD_UID', value }
  },
  'empty stdin': () => ({ stdin: '', field: 'stdin', value: '""' }),
  'stdin cut short': (r) => {
    const text = JSON.stringify(ipamConfig())
    const cut = text.slice(0, 2 + Math.floor(r() * (text.length - 3)))
    return { stdin: cut, field: 'stdin', value: shown(cut.slice(0, 20)).slice(0, -1) }
  },
  'stdin of another kind': (r) => {
    const value = pick<unknown>(r, [5, 'text', [], null, true])
    return { stdin: JSON.stringify(value), field: 'stdin', value: shown(value) }
  },
  'two objects on stdin': () => ({ stdin: '{}{}', field: 'stdin', value: '{}{}' }),
  'nesting without end': () => ({ stdin: '['.repeat(100_000), field: 'stdin', value: '[[[' }),
  'version of another kind': (r) => {
    const value = notText(r)
    return { stdin: { ...ipamConfig(), cniVersion: value }, field: 'cniVersion', value: shown(value) }
  },
  'version that is not supported': (r) => {
    const value = pick(r, ['0.1.0', '0.2.0', '1.2.0', '2.0.0', word(r)])
    return { stdin: ipamConfig(value), field: 'cniVersion', value }
  },
  'no version': () => {
    const { cniVersion: _, ...stdin } = ipamConfig()
    return { stdin, field: 'cniVersion', value: '0.1.0' }
  },
  'network without a name': (r) => ({
    stdin: { ...ipamConfig(), name: pick(r, ['', undefined]) },
    field: 'name',
  }),
  'network name that is none': (r) => {
    const name = pick<unknown>(r, [`${word(r)}/..`, `-${word(r)}`, `${word(r)} x`, notText(r)])
    return { stdin: ipamConfig('1.1.0', { name }), field: 'name', value: shown(name) }
  },
  'no ipam': () => ({ stdin: ipamConfig('1.1.0', { ipam: undefined }), field: 'ipam' }),
  'ipam of another kind': (r) => {
    const value = pick<unknown>(r, [word(r), [], 7])
    return { stdin: ipamConfig('1.1.0', { ipam: value }), field: 'ipam', value: shown(value) }
  },
  'ipam without type': () => ({ stdin: ipamConfig('1.1.0', { ipam: {} }), field: 'ipam.type' }),
  'pools of another kind': (r) => {
    const key = pick(r, ['default_ipv4_ippool', 'default_ipv6_ippool'])
    const value = pick<unknown>(r, [word(r), { a: 1 }, 5])
    return { stdin: ipam({ [key]: value }), field: `ipam.${key}`, value: shown(value) }
  },
  'pool name that is none': (r) => {
    const key = pick(r, ['default_ipv4_ippool', 'default_ipv6_ippool'])
    const value = pick<unknown>(r, [word(r).toUpperCase(), '', `${word(r)}/x`, 7, null])
    return { stdin: ipam({ [key]: ['good', value] }), field: `ipam.${key}[1]`, value: shown(value) }
  },
  'too many pools': (r) => {
    const pools = Array.from({ length: 101 }, () => word(r))
    return { stdin: ipam({ default_ipv4_ippool: pools }), field: 'ipam.default_ipv4_ippool', value: '101' }
  },
  'flag that is none': (r) => {
    const key = pick(r, ['clean_gateway', 'match_master_subnet'])
    const value = pick<unknown>(r, ['true', 1, []])
    return { stdin: ipam({ [key]: value }), field: `ipam.${key}`, value: shown(value) }
  },
  'device that is none': (r) => {
    const value = pick<unknown>(r, [word(r), '../../x', '0000:03:02.9', 7, ['0000:03:02.1']])
    const [field, more] = pick<[string, object]>(r, [
      ['deviceID', { deviceID: value }],
      ['runtimeConfig.deviceID', { deviceID: '0000:03:02.1', runtimeConfig: { deviceID: value } }],
    ])
    const config = { ...more, ipam: { type: 'spiderpool', match_master_subnet: true } }
    return { stdin: ipamConfig('1.1.0', config), field, value: shown(value) }
  },
  'log option of another kind': (r) => {
    const key = pick(r, ['log_level', 'log_file_path', 'ipam_unix_socket_path'])
    return { stdin: ipam({ [key]: 5 }), field: `ipam.${key}`, value: '5' }
  },
  'log size that is none': (r) => {
    const key = pick(r, ['log_file_max_size', 'log_file_max_age', 'log_file_max_count'])
    const value = pick<unknown>(r, ['10', -1, 1.5])
    return { stdin: ipam({ [key]: value }), field: `ipam.${key}`, value: shown(value) }
  },
  'previous result of another kind': (r) => {
    const prevResult = pick<unknown>(r, [word(r), [1], 5])
    return { stdin: ipamConfig('1.1.0', { prevResult }), field: 'result', value: shown(prevResult) }
  },
  'previous result of an unknown version': (r) => {
    const cniVersion = `7.${Math.floor(r() * 9)}.0`
    return {
      stdin: ipamConfig('1.1.0', { prevResult: { cniVersion } }),
      field: 'result.cniVersion',
      value: cniVersion,
    }
  },
  'previous result with a bad list': (r) => {
    const key = pick(r, ['ips', 'interfaces', 'routes'])
    const value = word(r)
    return { stdin: ipamConfig('1.1.0', { prevResult: { [key]: value } }), field: key, value }
  },
  'previous result with a bad index': (r) => {
    const ips = [{ address: '10.0.0.1/24', interface: word(r) }]
    return {
      stdin: ipamConfig('1.1.0', { prevResult: { ips } }),
      field: 'ips[0].interface',
      value: ips[0]?.interface ?? '',
    }
  },
  'CHECK without a result': () => ({ command: 'CHECK', stdin: ipamConfig(), field: 'prevResult' }),
  'CHECK of an old version': (r) => {
    const version = pick(r, ['0.3.0', '0.3.1'])
    return {
      command: 'CHECK',
      stdin: ipamConfig(version, { prevResult: {} }),
      field: 'cniVersion',
      value: version,
    }
  },
  'GC or STATUS of an old version': (r) => {
    const version = pick(r, ['0.4.0', '1.0.0'])
    return {
      command: pick(r, ['GC', 'STATUS']),
      stdin: ipamConfig(version),
      field: 'cniVersion',
      value: version,
    }
  },
  'GC with a bad list': (r) => {
    const key = 'cni.dev/valid-attachments'
    const value = pick<unknown>(r, [word(r), 5, { a: 1 }])
    return { command: 'GC', stdin: ipamConfig('1.1.0', { [key]: value }), field: key, value: shown(value) }
  },
  'GC with a bad attachment': (r) => {
    const key = 'cni.dev/valid-attachments'
    const value = pick<unknown>(r, [word(r), 5, { containerID: word(r) }])
    return {
      command: 'GC',
      stdin: ipamConfig('1.1.0', { [key]: [value] }),
      field: `${key}[0]`,
      value: shown(value),
    }
  },
}

let kit: AgentKit
before(async () => {
  kit = await AgentKit.start({ namespaces: new PathNamespaces() })
})
after(async () => {
  await kit[Symbol.asyncDispose]()
})

const names = Object.keys(kinds)
void test(`${names.length * rounds} faults of ${names.length} kinds (seed ${seed}) are answered by field, value and remedy`, async () => {
  const seeded = new Seeded(seed)
  const random = () => seeded.next()
  assert.ok(names.length >= 30 && names.length * rounds >= 100)
  for (let round = 0; round < rounds; round++)
    for (const [kind, make] of Object.entries(kinds)) {
      const fault = make(random)
      const outcome = await kit.call(
        'spiderpool',
        fault.command ?? 'ADD',
        fault.stdin ?? ipamConfig(),
        fault.env,
      )
      const said = `${kind}, round ${round}: ${outcome.stdout}`
      assert.equal(outcome.exitCode, 1, said)
      const message = String(outcome.json['msg'])
      assert.ok(message.includes(fault.field), said)
      // The message shows at most 200 characters of a value.
      if (fault.value !== undefined) assert.ok(message.includes(fault.value), said)
      assert.match(String(outcome.json['details']), /^[a-z-]+: \S.{5,}/, said)
      assert.equal(kit.allocator.held.size, 0, said)
      const good = await kit.call('spiderpool', 'ADD')
      assert.equal(good.exitCode, 0, `after ${said}: ${good.stdout}`)
      assert.equal((await kit.call('spiderpool', 'DEL')).exitCode, 0)
    }
})
