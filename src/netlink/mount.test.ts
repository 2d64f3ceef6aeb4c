import assert from 'node:assert/strict'
import test from 'node:test'
import { parseMountPoints } from './mount.ts'

void test('parseMountPoints() reads the fifth field and undoes its octal escapes', () => {
  const mountinfo = [
    '22 27 0:21 / /proc rw,relatime - proc proc rw',
    '90 27 0:4 net:[4026532301] /var/lib/with\\040blank\\134/netns rw shared:9 - nsfs nsfs rw',
    '',
  ].join('\n')
  assert.deepEqual(parseMountPoints(mountinfo), ['/proc', '/var/lib/with blank\\/netns'])
})
