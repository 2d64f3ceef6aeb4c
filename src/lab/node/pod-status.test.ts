import assert from 'node:assert/strict'
import test from 'node:test'
import type { Pod } from '../../api/index.ts'
import { lacksImage, type PodProgress, pauseMessage, podStatus } from './pod-status.ts'
import { podIps } from './sandbox-network.ts'

const pod: Pod = {
  metadata: { name: 'web', namespace: 'default', uid: 'u' },
  spec: { containers: [{ name: 'main', image: 'nginx' }] },
  status: { conditions: [{ type: 'PodScheduled', status: 'True', lastTransitionTime: 'before' }] },
}
const now = '2026-01-01T00:00:00Z'
const status = (progress: PodProgress, of: Pod = pod) => podStatus(of, progress, '10.6.0.11', now)
const running = {
  kind: 'running' as const,
  ips: ['10.6.0.50', 'fd00:6::50'],
  startedAt: now,
  containerId: 'c1',
  restartCount: 0,
}

void test('a pod that is being made is pending, with waiting containers and the conditions of others kept', () => {
  const made = status({ kind: 'creating' })
  assert.equal(made.phase, 'Pending')
  assert.equal(made.podIP, undefined)
  assert.equal(made.containerStatuses?.[0]?.state?.waiting?.reason, 'ContainerCreating')
  assert.ok(
    made.conditions?.some(
      ({ type, lastTransitionTime }) => type === 'PodScheduled' && lastTransitionTime === 'before',
    ),
  )
  assert.ok(made.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'False'))
})

void test('a pod without an image is pending, with the addresses of its sandbox', () => {
  const made = status({ kind: 'without-image', ips: ['10.6.0.50'] })
  assert.equal(made.phase, 'Pending')
  assert.equal(made.podIP, '10.6.0.50')
  assert.equal(made.containerStatuses?.[0]?.state?.waiting?.reason, 'ErrImageNeverPull')
  const isTrue = (name: string) =>
    made.conditions?.some(({ type, status: is }) => type === name && is === 'True')
  assert.deepEqual(['PodReadyToStartContainers', 'Ready'].map(isTrue), [true, false])
})

void test('only a container that may not pull its image goes without one', () => {
  const withPolicy = (imagePullPolicy: string) =>
    lacksImage({ ...pod, spec: { containers: [{ name: 'main', imagePullPolicy }] } })
  assert.deepEqual(['Always', 'IfNotPresent', 'Never'].map(withPolicy), [false, false, true])
})

void test('a running pod shows its addresses, is ready, and says that no image was pulled', () => {
  const made = status(running)
  assert.equal(made.phase, 'Running')
  assert.equal(made.podIP, '10.6.0.50')
  assert.deepEqual(made.podIPs, [{ ip: '10.6.0.50' }, { ip: 'fd00:6::50' }])
  assert.equal(made.message, pauseMessage)
  assert.equal(made.containerStatuses?.[0]?.ready, true)
})

void test('a condition that stays keeps the time of its last change', () => {
  const earlier = { ...pod, status: { ...podStatus(pod, running, '10.6.0.11', 'earlier') } }
  const again = status(running, earlier)
  assert.deepEqual(
    again.conditions?.map(({ lastTransitionTime }) => lastTransitionTime),
    ['before', 'earlier', 'earlier', 'earlier', 'earlier'],
  )
})

void test('an ended pod has the phase of its exit code and keeps its address', () => {
  for (const [exitCode, phase] of [
    [0, 'Succeeded'],
    [3, 'Failed'],
  ] as const) {
    const made = status({
      kind: 'ended',
      ips: ['10.6.0.50'],
      exitCode,
      startedAt: now,
      finishedAt: now,
      containerId: 'c',
    })
    assert.equal(made.phase, phase)
    assert.equal(made.podIP, '10.6.0.50')
    assert.equal(made.containerStatuses?.[0]?.state?.terminated?.exitCode, exitCode)
  }
})

void test('podIps() takes the first address of each family, IPv4 first', () => {
  assert.deepEqual(podIps(['fd00::1/64', '10.6.0.50/16', '10.7.0.50/16']), ['10.6.0.50', 'fd00::1'])
  assert.deepEqual(podIps([]), [])
})
