// The real kubectl against the API server: what people type must work as they know it.
import assert from 'node:assert/strict'
import { execFile, execFileSync } from 'node:child_process'
import { globSync, mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { type BareServer, startBareServer } from '../support/bare-server.ts'

const kubectlPath = process.env['KUBECTL'] ?? 'kubectl'
const root = dirname(dirname(import.meta.dirname))
const callMs = 30_000

/** Minor version of the client; undefined without a kubectl. */
function clientMinor(): number | undefined {
  try {
    const text = execFileSync(kubectlPath, ['version', '--client', '-o', 'json'], {
      encoding: 'utf8',
      stdio: 'pipe',
    })
    return Number.parseInt(/"minor": "(\d+)/.exec(text)?.[1] ?? '', 10)
  } catch {
    return undefined
  }
}

const minor = clientMinor()
const skip =
  minor !== undefined && minor >= 27
    ? false
    : `needs kubectl 1.27 or later, found ${minor === undefined ? 'none' : `1.${minor}`}`

interface Output {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

let server: BareServer
let env: NodeJS.ProcessEnv

function run(
  args: readonly string[],
  more: { readonly input?: string; readonly editor?: string } = {},
): Promise<Output> {
  const childEnv = { ...env, ...(more.editor === undefined ? {} : { KUBE_EDITOR: more.editor }) }
  return new Promise((resolve) => {
    const child = execFile(
      kubectlPath,
      [...args],
      { env: childEnv, timeout: callMs },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 1
        resolve({ code, stdout, stderr })
      },
    )
    child.stdin?.end(more.input ?? '')
  })
}

async function kubectl(
  args: readonly string[],
  more: { readonly input?: string; readonly editor?: string } = {},
): Promise<string> {
  const { code, stdout, stderr } = await run(args, more)
  assert.equal(code, 0, `kubectl ${args.join(' ')}: ${stdout}${stderr}`)
  return stdout
}

async function refused(args: readonly string[], input?: string): Promise<string> {
  const { code, stderr } = await run(args, input === undefined ? {} : { input })
  assert.notEqual(code, 0, `kubectl ${args.join(' ')} was not refused`)
  return stderr
}

const field = (kind: string, name: string, path: string): Promise<string> =>
  kubectl(['get', kind, name, '-o', `jsonpath={${path}}`])

const pool = (name: string, spec: string): string =>
  `apiVersion: spiderpool.spidernet.io/v2beta1\nkind: SpiderIPPool\nmetadata: {name: ${name}}\nspec: {${spec}}\n`
const firstPool = pool(
  'first',
  'subnet: 10.6.0.0/16, ips: [10.6.168.151-10.6.168.160], podAffinity: {matchLabels: {app: a}}',
)

const deployment = (lines: {
  readonly labels: string
  readonly containers: string
  readonly more?: string
}): string =>
  `apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {${lines.labels}}}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [${lines.containers}]${lines.more ?? ''}}
`
const twoContainers = deployment({
  labels: 'a: "1", b: "2"',
  containers:
    '{name: c1, image: i1, env: [{name: A, value: "1"}, {name: B, value: "2"}]}, {name: c2, image: i2}',
  more: ', nodeSelector: {k: v}',
})
const oneContainer = deployment({
  labels: 'a: "1"',
  containers: '{name: c1, image: i1, env: [{name: A, value: "3"}]}',
})

void suite('the real kubectl', { skip }, () => {
  before(async () => {
    server = await startBareServer()
    const folder = join(server.dir, 'kubectl')
    mkdirSync(folder)
    env = { ...process.env, KUBECONFIG: server.kubeconfig, HOME: folder, KUBECACHEDIR: join(folder, 'cache') }
    const files = globSync('manifests/crds/*.yaml', { cwd: root })
    await kubectl(['apply', ...files.flatMap((file) => ['-f', join(root, file)])])
    await kubectl(['wait', '--for=condition=Established', 'crd', '--all', '--timeout=10s'])
  })
  after(async () => {
    await server.close()
  })

  test('applies, prints and applies again without a change', async () => {
    assert.match(await kubectl(['apply', '-f', '-'], { input: firstPool }), /spiderippool.* created/)
    assert.match(await kubectl(['apply', '-f', '-'], { input: firstPool }), /unchanged/)
    const table = await kubectl(['get', 'spiderippool'])
    assert.match(
      table,
      /^NAME +VERSION +SUBNET +ALLOCATED-IP-COUNT +TOTAL-IP-COUNT +DEFAULT *\nfirst +10\.6\.0\.0\/16 +false/,
    )
    assert.match(await kubectl(['describe', 'sp', 'first']), /Subnet: +10\.6\.0\.0\/16/)
  })

  test('hears of fields that the schema does not know', async () => {
    const input = pool('typo', 'subnet: 10.5.0.0/16, subnett: 1')
    assert.match(await refused(['apply', '-f', '-'], input), /unknown field "spec\.subnett"/)
    const { code, stderr } = await run(['apply', '--validate=warn', '-f', '-'], { input })
    assert.equal(code, 0)
    assert.match(stderr, /Warning: unknown field "spec\.subnett"/)
  })

  test('patches in all ways, and hears why a patch does not fit', async () => {
    await kubectl(['patch', 'sp', 'first', '--type=merge', '-p', '{"spec":{"disable":true}}'])
    assert.equal(await field('sp', 'first', '.spec.disable'), 'true')
    const operations =
      '[{"op":"test","path":"/spec/disable","value":true},{"op":"replace","path":"/spec/disable","value":false}]'
    await kubectl(['patch', 'sp', 'first', '--type=json', '-p', operations])
    assert.equal(await field('sp', 'first', '.spec.disable'), 'false')
    assert.match(
      await refused(['patch', 'sp', 'first', '--type=json', '-p', operations]),
      /testing value \/spec\/disable failed|The request is invalid/,
    )
    assert.match(
      await refused(['patch', 'sp', 'first', '-p', '{}']),
      /do(es)? not support strategic merge|strategic-merge-patch\+json is not supported/,
    )
    const outside = await refused([
      'patch',
      'sp',
      'first',
      '--type=merge',
      '-p',
      '{"spec":{"ips":["10.9.0.1"]}}',
    ])
    assert.match(outside, /SpiderIPPool "first" is invalid: spec\.ips/)
    const status = '{"status":{"totalIPCount":9223372036854775807}}'
    await kubectl(['patch', 'sp', 'first', '--subresource=status', '--type=merge', '-p', status])
    assert.match(await kubectl(['get', 'sp', 'first']), / 9223372036854775807 /)
  })

  test('labels, annotates and selects', async () => {
    await kubectl(['label', 'sp', 'first', 'tier=front'])
    assert.match(await kubectl(['get', 'sp', '-l', 'tier in (front)', '-o', 'name']), /first/)
    await kubectl(['label', 'sp', 'first', 'tier-'])
    assert.equal(await kubectl(['get', 'sp', '-l', 'tier', '-o', 'name']), '')
    await kubectl(['annotate', 'sp', 'first', 'example.com/note=hello'])
    assert.equal(await field('sp', 'first', '.metadata.annotations.example\\.com/note'), 'hello')
  })

  test('edits, and keeps what was wrong out', async () => {
    await kubectl(['edit', 'sp', 'first'], { editor: 'sed -i s/disable:.*/disable:\\ true/' })
    assert.equal(await field('sp', 'first', '.spec.disable'), 'true')
    const { code } = await run(['edit', 'sp', 'first'], { editor: 'sed -i s/10.6.0.0/10.8.0.0/' })
    assert.notEqual(code, 0)
    assert.equal(await field('sp', 'first', '.spec.subnet'), '10.6.0.0/16')
  })

  for (const flags of [[], ['--server-side']]) {
    test(`apply ${flags.length === 0 ? 'on the client side' : ''}${flags.join('')} removes from a workload what the file leaves out`, async () => {
      await kubectl(['delete', 'deploy', 'web', '--ignore-not-found'])
      await kubectl(['apply', ...flags, '-f', '-'], { input: twoContainers })
      await kubectl(['apply', ...flags, '-f', '-'], { input: oneContainer })
      assert.equal(await field('deploy', 'web', '.spec.template.spec.containers[*].name'), 'c1')
      const env1 = await field('deploy', 'web', '.spec.template.spec.containers[0].env')
      assert.deepEqual(JSON.parse(env1), [{ name: 'A', value: '3' }])
      assert.equal(await field('deploy', 'web', '.spec.template.spec.nodeSelector'), '')
      assert.deepEqual(JSON.parse(await field('deploy', 'web', '.metadata.labels')), { a: '1' })
    })
  }

  test('goes over from client-side to server-side apply', async () => {
    await kubectl(['delete', 'deploy', 'web'])
    await kubectl(['apply', '-f', '-'], { input: twoContainers })
    await kubectl(['apply', '--server-side', '-f', '-'], { input: oneContainer })
    assert.equal(await field('deploy', 'web', '.spec.template.spec.containers[*].name'), 'c1')
  })

  test('patches, scales and restarts a workload', async () => {
    const patch = '{"spec":{"template":{"spec":{"containers":[{"name":"c1","image":"i2"}]}}}}'
    await kubectl(['patch', 'deploy', 'web', '-p', patch])
    assert.equal(await field('deploy', 'web', '.spec.template.spec.containers[*].image'), 'i2')
    await kubectl(['set', 'image', 'deploy/web', 'c1=i3'])
    await kubectl(['scale', 'deploy', 'web', '--replicas=3'])
    assert.equal(await field('deploy', 'web', '.spec.replicas'), '3')
    assert.match(
      await refused(['scale', 'deploy', 'web', '--current-replicas=5', '--replicas=4']),
      /Expected replicas to be 5/,
    )
    await kubectl(['rollout', 'restart', 'deploy/web'])
  })

  test('explains custom and built-in kinds', async () => {
    assert.match(
      await kubectl(['explain', 'spiderippool.spec']),
      /KIND: +SpiderIPPool[\s\S]*subnet\t<string> -required-/,
    )
    assert.match(await kubectl(['explain', 'pods.spec.containers.env']), /FIELD: env <\[\](Object|EnvVar)>/)
    assert.match(await kubectl(['explain', 'deploy.spec.strategy', '--recursive']), /maxSurge/)
    assert.match(await refused(['explain', 'pods.spec.nope']), /field "nope" does not exist/)
  })

  test('creates by its typed commands and asks what it may do', async () => {
    await kubectl(['create', 'ns', 'team-a'])
    await kubectl(['create', 'configmap', 'c', '--from-literal=a=b', '-n', 'team-a'])
    assert.equal(await kubectl(['get', 'cm', 'c', '-n', 'team-a', '-o', 'jsonpath={.data.a}']), 'b')
    await kubectl(['create', 'deployment', 'made', '--image=nginx', '--replicas=2', '-n', 'team-a'])
    assert.match(await kubectl(['auth', 'can-i', 'get', 'pods']), /yes/)
    assert.match(
      await refused(
        ['apply', '-f', '-'],
        'apiVersion: nope.example.com/v1\nkind: Nope\nmetadata: {name: x}\n',
      ),
      /no matches for kind "Nope"/,
    )
  })

  test('hears what is wrong with a definition', async () => {
    const input = `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: foos.example.com}
spec:
  group: example.com
  scope: Cluster
  names: {plural: foos, kind: Foo}
  versions:
    - name: v1
      served: true
      storage: true
      schema:
        openAPIV3Schema:
          type: object
          properties:
            spec:
              type: object
              properties: {size: {type: integer}}
              x-kubernetes-validations: [{rule: self.sizze > 0}]
`
    const answer = await refused(['apply', '-f', '-'], input)
    assert.match(
      answer,
      /spec\.(versions\[0\]\.schema|validation)\.openAPIV3Schema\.properties\[spec\]\.x-kubernetes-validations\[0\]\.rule/,
    )
    assert.match(answer, /sizze/)
  })
})
