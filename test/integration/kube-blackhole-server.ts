// A Kubernetes-like list-and-watch server for kube-blackhole.test.ts; runs inside a network namespace. It has one
// collection for each label selector. Commands on stdin: "put <selector>"; reports on stdout: {"watch","port"}.
import { readFileSync } from 'node:fs'
import type http from 'node:http'
import https from 'node:https'
import { createInterface } from 'node:readline'

const [, , address = '', certFile = '', keyFile = ''] = process.argv
const objects = new Map<string, object[]>()
const watches = new Map<string, Set<http.ServerResponse>>()
let version = 1

function json(response: http.ServerResponse, value: unknown): void {
  response.writeHead(200, { 'content-type': 'application/json' })
  response.end(JSON.stringify(value))
}

const tls = { cert: readFileSync(certFile), key: readFileSync(keyFile) }
const server = https.createServer(tls, (request, response) => {
  const query = new URL(request.url ?? '/', 'https://x').searchParams
  const selector = query.get('labelSelector') ?? ''
  const known = objects.get(selector) ?? []
  if (query.get('watch') !== 'true') {
    json(response, { metadata: { resourceVersion: String(version) }, items: known })
    return
  }
  response.writeHead(200, { 'content-type': 'application/json' })
  response.flushHeaders()
  const from = Number(query.get('resourceVersion'))
  for (const object of known) {
    const { metadata } = object as { metadata: { resourceVersion: string } }
    if (Number(metadata.resourceVersion) > from) response.write(line(object))
  }
  const open = watches.get(selector) ?? new Set()
  watches.set(selector, open.add(response))
  response.on('close', () => open.delete(response))
  process.stdout.write(`${JSON.stringify({ watch: selector, port: request.socket.remotePort })}\n`)
})
const line = (object: object) => `${JSON.stringify({ type: 'ADDED', object })}\n`

createInterface({ input: process.stdin }).on('line', (text) => {
  const [, selector = ''] = text.split(' ')
  version += 1
  const metadata = {
    name: `o${version}`,
    namespace: 'ns',
    uid: `u${version}`,
    resourceVersion: String(version),
  }
  const object = { metadata }
  objects.set(selector, [...(objects.get(selector) ?? []), object])
  for (const watch of watches.get(selector) ?? []) watch.write(line(object))
})
server.listen(6443, address, () => process.stdout.write('{"ready":true}\n'))
