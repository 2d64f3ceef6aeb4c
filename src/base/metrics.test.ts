import assert from 'node:assert/strict'
import test from 'node:test'
import { Metrics } from './metrics.ts'

void test('text() writes every label of a counter, and a gauge as it is now', () => {
  const metrics = new Metrics()
  let open = 1
  const refused = metrics.counter({
    name: 'refused_total',
    help: 'Requests that were refused,\nby reason',
    label: 'reason',
    labels: ['late', 'large'],
  })
  metrics.gauge({ name: 'open_connections', help: 'Connections', read: () => open })
  refused.add('late')
  refused.add('late', 2)
  open = 7
  assert.deepEqual(refused.values(), { late: 3, large: 0 })
  const lines = [
    '# HELP refused_total Requests that were refused,\\nby reason',
    '# TYPE refused_total counter',
    'refused_total{reason="late"} 3',
    'refused_total{reason="large"} 0',
    '# HELP open_connections Connections',
    '# TYPE open_connections gauge',
    'open_connections 7',
    '',
  ]
  assert.equal(metrics.text(), lines.join('\n'))
})
