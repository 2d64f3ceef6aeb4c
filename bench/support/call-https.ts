// One HTTPS request on a connection of its own, for what is asked outside the measured work.
import { request } from 'node:https'

export interface Tls {
  readonly ca: Buffer
  readonly cert: Buffer
  readonly key: Buffer
}

/**
 * @param body JSON to POST; absent: a GET
 * @returns the text of the answer
 * @throws when its status is not 200
 */
export function callHttps(url: string, { ca, cert, key }: Tls, body?: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const headers = body === undefined ? {} : { 'content-type': 'application/json' }
  const method = body === undefined ? 'GET' : 'POST'
  const call = request(url, { ca, cert, key, method, headers, agent: false }, (response) => {
    let text = ''
    response.setEncoding('utf8')
    response.on('data', (chunk: string) => {
      text += chunk
    })
    response.on('end', () => {
      if (response.statusCode === 200) resolve(text)
      else reject(new Error(`${url} answered ${response.statusCode}: ${text.slice(0, 200)}`))
    })
    response.on('error', reject)
  })
  call.on('error', reject)
  call.end(body)
  return promise
}
