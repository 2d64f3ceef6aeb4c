import assert from 'node:assert/strict'
import { at, type Check, eventually, expect, type Kit, listAt, textAt } from './kit.ts'

const reviews = '/apis/authentication.k8s.io/v1/tokenreviews'

/** Discovery, health, authentication, ServiceAccount tokens, leases and bindings. */
export function accessCases(kit: () => Kit, check: Check): void {
  const account = async () => {
    const k = kit()
    const ns = await k.namespace()
    const path = `/api/v1/namespaces/${ns}/serviceaccounts`
    const body = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'robot' } }
    expect(await k.send('POST', path, { body }), 201)
    return { k, ns, path: `${path}/robot` }
  }
  const token = async (k: Kit, path: string, spec: object = {}) => {
    const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', metadata: {}, spec }
    return expect(await k.send('POST', `${path}/token`, { body }), 201)
  }
  const review = async (k: Kit, text: string) => {
    const body = {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenReview',
      metadata: {},
      spec: { token: text },
    }
    return expect(await k.send('POST', reviews, { body }), 201)
  }

  check('health and version are served', async () => {
    for (const path of ['/readyz', '/livez', '/healthz']) {
      const answer = await kit().send('GET', path)
      assert.deepEqual([answer.status, answer.body], [200, 'ok'])
    }
    assert.match(textAt(expect(await kit().send('GET', '/version'), 200), 'gitVersion'), /^v1\.\d+\./)
  })
  check('discovery lists groups and core resources', async () => {
    const groups = listAt(expect(await kit().send('GET', '/apis'), 200), 'groups').map((item) =>
      at(item, 'name'),
    )
    for (const name of ['apps', 'batch', 'coordination.k8s.io', 'apiextensions.k8s.io'])
      assert.ok(groups.includes(name))
    const core = listAt(expect(await kit().send('GET', '/api/v1'), 200), 'resources').map((item) =>
      at(item, 'name'),
    )
    for (const name of [
      'pods',
      'pods/status',
      'pods/binding',
      'configmaps',
      'namespaces',
      'events',
      'nodes',
    ]) {
      assert.ok(core.includes(name), name)
    }
  })
  check('a caller without or with bad credentials is 401, or anonymous and 403', async () => {
    expect(await kit().send('GET', '/api/v1/namespaces', { token: '' }), [401, 403])
    expect(await kit().send('GET', '/api/v1/namespaces', { token: 'nonsense' }), 401, 'Unauthorized')
  })
  check('a requested token is reviewed as its ServiceAccount, and authenticates', async () => {
    const { k, ns, path } = await account()
    const made = await token(k, path, { expirationSeconds: 600 })
    assert.ok(Date.parse(textAt(made, 'status.expirationTimestamp')) > Date.now())
    const text = textAt(made, 'status.token')
    const found = await review(k, text)
    assert.equal(at(found, 'status.authenticated'), true)
    assert.equal(at(found, 'status.user.username'), `system:serviceaccount:${ns}:robot`)
    assert.ok(listAt(found, 'status.user.groups').includes('system:serviceaccounts'))
    const self = { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' }
    const who = await k.send('POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews', {
      body: self,
      token: text,
    })
    assert.equal(at(expect(who, 201), 'status.userInfo.username'), `system:serviceaccount:${ns}:robot`)
  })
  check('a token that is none, or was changed, is reviewed as not authenticated', async () => {
    const { k, path } = await account()
    const text = textAt(await token(k, path), 'status.token')
    for (const bad of ['x', 'a.b.c', `${text.slice(0, -4)}AAAA`]) {
      assert.notEqual(at(await review(k, bad), 'status.authenticated'), true)
    }
  })
  check('a token that is bound to a pod names it and its node, and ends with it', async () => {
    const { k, ns, path } = await account()
    const pods = `/api/v1/namespaces/${ns}/pods`
    const node = k.unique('node')
    const machine = { apiVersion: 'v1', kind: 'Node', metadata: { name: node } }
    expect(await k.send('POST', '/api/v1/nodes', { body: machine }), 201)
    const containers = [{ name: 'c', image: 'x' }]
    const spec = {
      nodeName: node,
      serviceAccountName: 'robot',
      automountServiceAccountToken: false,
      containers,
    }
    const pod = expect(
      await k.send('POST', pods, { body: { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p' }, spec } }),
      201,
    )
    const bound = { apiVersion: 'v1', kind: 'Pod', name: 'p', uid: at(pod, 'metadata.uid') }
    const text = textAt(await token(k, path, { boundObjectRef: bound }), 'status.token')
    const extra = at(await review(k, text), 'status.user.extra') as Record<string, unknown> | undefined
    assert.deepEqual(extra?.['authentication.kubernetes.io/pod-name'], ['p'])
    assert.deepEqual(extra?.['authentication.kubernetes.io/node-name'], [node])
    expect(await k.send('DELETE', `${pods}/p?gracePeriodSeconds=0`), 200)
    // A real server remembers for ten seconds that a token was good.
    await eventually('the token is refused', async () =>
      at(await review(k, text), 'status.authenticated') === true ? undefined : true,
    )
    const wrong = { ...bound, uid: '00000000-0000-0000-0000-000000000000' }
    const body = {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: { boundObjectRef: wrong },
    }
    expect(await k.send('POST', `${path}/token`, { body }), [404, 409])
    expect(await k.send('DELETE', `/api/v1/nodes/${node}`), 200)
  })
  check('a lease keeps its times to the microsecond', async () => {
    const k = kit()
    const path = `/apis/coordination.k8s.io/v1/namespaces/${await k.namespace()}/leases`
    const spec = {
      holderIdentity: 'me',
      leaseDurationSeconds: 15,
      leaseTransitions: 1,
      renewTime: '2026-01-02T03:04:05.123456Z',
    }
    const body = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name: 'l' }, spec }
    assert.deepEqual(at(expect(await k.send('POST', path, { body }), 201), 'spec'), spec)
    const released = expect(await k.patch(`${path}/l`, 'merge', { spec: { holderIdentity: null } }), 200)
    assert.equal(at(released, 'spec.holderIdentity'), undefined)
  })
  check('binding gives a pod its node, once', async () => {
    const k = kit()
    const pods = `/api/v1/namespaces/${await k.namespace()}/pods`
    const spec = {
      schedulerName: 'none',
      automountServiceAccountToken: false,
      containers: [{ name: 'c', image: 'x' }],
    }
    const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p' }, spec }
    const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default' } }
    expect(await k.send('POST', pods.replace(/pods$/, 'serviceaccounts'), { body: account }), [201, 409])
    expect(await k.send('POST', pods, { body: pod }), 201)
    const target = { apiVersion: 'v1', kind: 'Node', name: 'some-node' }
    const body = { apiVersion: 'v1', kind: 'Binding', metadata: { name: 'p' }, target }
    expect(await k.send('POST', `${pods}/p/binding`, { body }), 201)
    assert.equal(at(expect(await k.send('GET', `${pods}/p`), 200), 'spec.nodeName'), 'some-node')
    expect(await k.send('POST', `${pods}/p/binding`, { body }), 409)
    expect(await k.send('DELETE', `${pods}/p?gracePeriodSeconds=0`), 200)
  })
  check('the status of a pod is written through its subresource alone', async () => {
    const k = kit()
    const pods = `/api/v1/namespaces/${await k.namespace()}/pods`
    const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default' } }
    expect(await k.send('POST', pods.replace(/pods$/, 'serviceaccounts'), { body: account }), [201, 409])
    const spec = {
      schedulerName: 'none',
      automountServiceAccountToken: false,
      containers: [{ name: 'c', image: 'x' }],
    }
    const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p' }, spec }
    assert.equal(at(expect(await k.send('POST', pods, { body: pod }), 201), 'status.phase'), 'Pending')
    expect(await k.patch(`${pods}/p`, 'merge', { status: { phase: 'Running' } }), 200)
    assert.equal(at(expect(await k.send('GET', `${pods}/p`), 200), 'status.phase'), 'Pending')
    const status = { phase: 'Running', podIP: '10.0.0.1', podIPs: [{ ip: '10.0.0.1' }] }
    const after = expect(await k.patch(`${pods}/p/status`, 'merge', { status }), 200)
    assert.deepEqual([at(after, 'status.phase'), at(after, 'status.podIP')], ['Running', '10.0.0.1'])
    expect(await k.patch(`${pods}/p`, 'merge', { spec: { nodeName: 'other', schedulerName: 'x' } }), 422)
    expect(await k.send('DELETE', `${pods}/p?gracePeriodSeconds=0`), 200)
  })
}
