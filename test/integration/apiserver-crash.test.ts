// kill -9 of the API server under writes: what was acknowledged is there afterwards, and watches go on.
import assert from 'node:assert/strict'
import { Agent, request as httpsRequest } from 'node:https'
import { createInterface } from 'node:readline'
import test from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { administratorOf, startBareServer } from '../support/bare-server.ts'
import { serverUnderTest } from '../support/server-under-test.ts'

// A real one takes seconds to serve again.
const rounds = serverUnderTest === 'real' ? 3 : 8
const writers = 16
const maps = '/api/v1/namespaces/default/configmaps'

interface Answer {
  readonly status: number
  readonly body: {
    metadata: { resourceVersion: string; name: string; continue?: string }
    items?: Answer['body'][]
  }
}

function client(kubeconfig: string) {
  const { url, ...tls } = administratorOf(kubeconfig)
  const agent = new Agent({ keepAlive: true, ...tls })
  const send = (method: string, path: string, body?: object): Promise<Answer> => {
    const { promise, resolve, reject } = Promise.withResolvers<Answer>()
    const text = body === undefined ? '' : JSON.stringify(body)
    const headers = { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text) }
    const request = httpsRequest(`${url}${path}`, { agent, method, headers }, (response) => {
      let answer = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        answer += chunk
      })
      response.on('error', reject)
      response.on('end', () =>
        response.complete
          ? resolve({ status: response.statusCode ?? 0, body: JSON.parse(answer) })
          : reject(new Error('the answer broke off')),
      )
    })
    request.on('error', reject)
    request.end(text)
    return promise
  }
  const watch = (version: string, onEvent: (type: string, version: string, name: string) => void) => {
    const path = `${maps}?watch=1&resourceVersion=${version}`
    const request = httpsRequest(`${url}${path}`, { agent }, (response) => {
      const lines = createInterface({ input: response })
      lines.on('line', (line) => {
        const { type, object } = JSON.parse(line)
        onEvent(type, object.metadata.resourceVersion, object.metadata.name)
      })
      // Node gives an error of the input to the lines as well.
      lines.on('error', () => lines.close())
      response.on('error', () => lines.close())
    })
    // The server is killed under it: that is the point.
    request.on('error', () => request.destroy())
    request.end()
    return request
  }
  return { send, watch, close: () => agent.destroy() }
}

/** What writers were told: the newest acknowledged version of a name, or 'deleted'. */
type Acknowledged = Map<string, string>

async function write(
  api: ReturnType<typeof client>,
  round: number,
  acknowledged: Acknowledged,
  until: AbortSignal,
) {
  const data = { text: 'x'.repeat(900) }
  const one = async (writer: number): Promise<void> => {
    for (let index = 0; !until.aborted; index++) {
      const name = `r${round}-w${writer}-${index}`
      const metadata = { name }
      try {
        const made = await api.send('POST', maps, { apiVersion: 'v1', kind: 'ConfigMap', metadata, data })
        if (made.status === 201) acknowledged.set(name, made.body.metadata.resourceVersion)
        if (index % 5 !== 4) continue
        // From here to the answer either outcome is right.
        acknowledged.delete(name)
        const gone = await api.send('DELETE', `${maps}/${name}`)
        if (gone.status === 200) acknowledged.set(name, 'deleted')
      } catch {
        return
      }
    }
  }
  await Promise.all(Array.from({ length: writers }, (_, writer) => one(writer)))
}

async function listAll(
  api: ReturnType<typeof client>,
): Promise<{ found: Map<string, string>; version: string }> {
  const { body } = await api.send('GET', maps)
  const found = new Map((body.items ?? []).map(({ metadata }) => [metadata.name, metadata.resourceVersion]))
  return { found, version: body.metadata.resourceVersion }
}

void test('no acknowledged write is lost by kill -9, no version is given out twice, and watches resume', {
  timeout: 120_000,
}, async () => {
  const server = await startBareServer()
  const acknowledged: Acknowledged = new Map()
  const toldBy = new Map<string, string>()
  let lastSeen = ''
  try {
    for (let round = 0; round < rounds; round++) {
      const api = client(server.kubeconfig)
      const { version } = await listAll(api)
      assert.ok(lastSeen === '' || Number(version) >= Number(lastSeen), 'a told version was taken back')
      const seen = new Set<string>()
      const watching = api.watch(lastSeen === '' ? version : lastSeen, (type, at, name) => {
        assert.notEqual(type, 'ERROR', 'nothing was missed, so the watch resumes')
        const told = `${type} ${name}`
        assert.equal(toldBy.get(at) ?? told, told, `version ${at} is two different changes`)
        toldBy.set(at, told)
        seen.add(told)
        lastSeen = at
      })
      const stop = new AbortController()
      const writing = write(api, round, acknowledged, stop.signal)
      while (seen.size < writers) await sleep(20)
      await sleep((round * 97) % 250)
      await server.kill()
      stop.abort()
      await writing
      watching.destroy()
      api.close()
      assert.ok(seen.size > 0, 'the watch told changes of this round')

      await server.revive()
      const after = client(server.kubeconfig)
      const { found, version: restarted } = await listAll(after)
      for (const [name, told] of acknowledged) {
        if (told === 'deleted') assert.equal(found.get(name), undefined, `${name} was deleted`)
        else assert.equal(found.get(name), told, `${name} was acknowledged`)
      }
      // What only the watch has told must be true as well.
      assert.ok(Number(restarted) >= Number(lastSeen), 'a watch told a change that was lost')
      lastSeen = restarted
      after.close()
    }
    assert.ok(acknowledged.size > rounds * writers, `${acknowledged.size} acknowledged writes`)
  } finally {
    await server.close()
  }
})
