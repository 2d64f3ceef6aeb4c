// Creates of about 1 KB per second at the embedded API server, a process of its own; the client shares the machine with it.
// Usage: node bench/apiserver.ts [objects] [concurrency]. Checks that every object is listed afterwards.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { Agent, request } from 'node:https'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'

const objects = Number(process.argv[2] ?? 5000)
const concurrency = Number(process.argv[3] ?? 32)
const dataBytes = 800
const path = '/api/v1/namespaces/default/configmaps'

const dir = mkdtempSync(join(tmpdir(), 'spiderpool-bench-'))
const bin = join(dirname(import.meta.dirname), 'src/bin/lab-apiserver.ts')
const child = spawn(process.execPath, [bin, '--dir', dir], { stdio: ['ignore', 'pipe', 'ignore'] })
try {
  const [line]: string[] = await once(createInterface({ input: child.stdout }), 'line')
  const { port }: { port: number } = JSON.parse(line ?? '{}')
  const pki = (name: string) => readFileSync(join(dir, 'pki', name))
  const agent = new Agent({
    keepAlive: true,
    maxSockets: concurrency,
    ca: pki('ca.crt'),
    cert: pki('admin.crt'),
    key: pki('admin.key'),
  })
  const send = (method: string, body = ''): Promise<{ status: number; text: string }> => {
    const { promise, resolve, reject } = Promise.withResolvers<{ status: number; text: string }>()
    const headers = { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) }
    const call = request({ agent, host: '127.0.0.1', port, method, path, headers }, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        text += chunk
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }))
    })
    call.on('error', reject)
    call.end(body)
    return promise
  }
  const data = { text: 'x'.repeat(dataBytes) }
  const run = async (prefix: string, count: number): Promise<number[]> => {
    let next = 0
    const times: number[] = []
    const worker = async (): Promise<void> => {
      while (next < count) {
        const metadata = { name: `${prefix}-${next++}` }
        const start = performance.now()
        const { status, text } = await send(
          'POST',
          JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata, data }),
        )
        if (status !== 201) throw new Error(text)
        times.push(performance.now() - start)
      }
    }
    await Promise.all(Array.from({ length: concurrency }, worker))
    return times.sort((a, b) => a - b)
  }
  await run('warm', 500)
  const start = performance.now()
  const times = await run('object', objects)
  const seconds = (performance.now() - start) / 1000
  const listed = JSON.parse((await send('GET')).text).items.length
  if (listed !== objects + 500 + 1) throw new Error(`${listed} objects are listed`)
  const percentile = (share: number) => times[Math.floor(times.length * share)]?.toFixed(1)
  process.stdout.write(
    `${objects} creates, ${concurrency} at once: ${(objects / seconds).toFixed(0)}/s, ` +
      `p50 ${percentile(0.5)} ms, p99 ${percentile(0.99)} ms\n`,
  )
  agent.destroy()
} finally {
  child.kill('SIGTERM')
  await once(child, 'exit')
  rmSync(dir, { recursive: true })
}
