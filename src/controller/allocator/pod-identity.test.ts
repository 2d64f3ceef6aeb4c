import assert from 'node:assert/strict'
import test from 'node:test'
import type { AllocateRequest, Pod } from '../../api/index.ts'
import { CallOrder } from './pod-identity.ts'

const podOf = (uid: string, resourceVersion: string, name = 'db-0'): Pod => ({
  metadata: { namespace: 'default', name, uid, resourceVersion },
})
const requestOf = (containerId: string, startedMs?: number) =>
  ({ ifName: 'eth0', containerId, ...(startedMs === undefined ? {} : { startedMs }) }) as AllocateRequest

void test('a call that was held back until the next pod of its name came takes nothing from it', () => {
  const order = new CallOrder()
  const [old, next] = [podOf('old', '62'), podOf('next', '188')]
  order.note(old, requestOf('a'))
  order.requireNewest(old, requestOf('a'))
  order.note(next, requestOf('b'))
  order.requireNewest(next, requestOf('b'))
  assert.throws(() => order.requireNewest(old, requestOf('a')), /a later pod has its name, with uid next/)
  // Of another name, whatever its uid.
  order.note(podOf('other', '70', 'db-1'), requestOf('c'))
  order.requireNewest(podOf('other', '70', 'db-1'), requestOf('c'))
})

void test('the answer about a pod that comes after that about the next one does not count as later', () => {
  const order = new CallOrder()
  const [old, next] = [podOf('old', '99'), podOf('next', '1088')]
  order.note(next, requestOf('b'))
  order.note(old, requestOf('a'))
  order.requireNewest(next, requestOf('b'))
  assert.throws(() => order.requireNewest(old, requestOf('a')), /a later pod has its name/)
})

void test('where versions are no numbers, the last answer counts', () => {
  const order = new CallOrder()
  const [one, other] = [podOf('one', 'v-9'), podOf('other', 'v-10')]
  order.note(one, requestOf('a'))
  order.note(other, requestOf('b'))
  order.requireNewest(other, requestOf('b'))
  assert.throws(() => order.requireNewest(one, requestOf('a')), /a later pod has its name/)
  order.note(one, requestOf('a'))
  order.requireNewest(one, requestOf('a'))
})

void test('of two sandboxes of one pod the one that began later counts', () => {
  const order = new CallOrder()
  const pod = podOf('u', '5')
  order.note(pod, requestOf('second', 2_000))
  order.note(pod, requestOf('first', 1_000))
  order.requireNewest(pod, requestOf('second', 2_000))
  assert.throws(
    () => order.requireNewest(pod, requestOf('first', 1_000)),
    /sandbox second was begun 1 s after it/,
  )
})
