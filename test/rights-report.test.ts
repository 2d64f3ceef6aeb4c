import assert from 'node:assert/strict'
import test from 'node:test'
import { reportRights } from '../scripts/rights/report.ts'

const event = (account: string, verb: string, objectRef: object, decision = 'allow') =>
  JSON.stringify({
    verb,
    requestURI: `/x/${verb}?limit=500`,
    user: { username: `system:serviceaccount:kube-system:${account}` },
    objectRef,
    annotations: { 'authorization.k8s.io/decision': decision },
  })

void test('requests are counted to the rules that allow them; what is left over is told', () => {
  const lease = { apiGroup: 'coordination.k8s.io', resource: 'leases', namespace: 'kube-system' }
  const { grants, requests, forbidden, unexplained } = reportRights([
    event('spiderpool-agent', 'patch', { resource: 'pods', subresource: 'status', name: 'a' }),
    event('spiderpool-agent', 'patch', { resource: 'pods', name: 'a' }),
    event('spiderpool-agent', 'list', { resource: 'secrets' }, 'forbid'),
    event('spiderpool-agent', 'get', { resource: 'configmaps', name: 'spiderpool-controller-ca' }, 'forbid'),
    event('spiderpool-controller', 'patch', { ...lease, name: 'spiderpool-controller-leases' }),
    event('spiderpool-controller', 'patch', { ...lease, name: 'of-others' }),
    event('other', 'patch', { resource: 'pods' }),
    '',
  ])
  assert.equal(requests, 6)
  const used = grants
    .filter(({ count }) => count > 0)
    .map(({ account, verb, resource, count }) => [account, verb, resource, count])
  assert.deepEqual(used, [
    ['spiderpool-controller', 'patch', 'leases.coordination.k8s.io', 1],
    ['spiderpool-agent', 'patch', 'pods/status', 1],
  ])
  assert.deepEqual(forbidden, ['spiderpool-agent: list /x/list'])
  assert.deepEqual(unexplained, ['spiderpool-agent: patch /x/patch', 'spiderpool-controller: patch /x/patch'])
})
