// What etcd says of itself: the bytes that were put.
import { readFileSync } from 'node:fs'
import { request } from 'node:https'
import { join } from 'node:path'
import type { Lab } from '../../test/integration/lab-harness.ts'

/** Sum of the sizes of all puts since etcd started; undefined when the API server is the lab's own. */
export async function etcdPutBytes(lab: Lab): Promise<number | undefined> {
  return metric(lab, 'etcd_debugging_mvcc_total_put_size_in_bytes')
}

async function metric({ controlPlaneDir, pids }: Lab, name: string): Promise<number | undefined> {
  const pid = pids().get('etcd')
  if (controlPlaneDir === undefined || pid === undefined) return undefined
  const args = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
  const flag = '--listen-client-urls='
  const url = args.find((arg) => arg.startsWith(flag))?.slice(flag.length)
  if (url === undefined) throw new Error(`etcd (${pid}) has no ${flag}`)
  const pki = (file: string) => readFileSync(join(controlPlaneDir, 'pki', file))
  const text = await get(`${url}/metrics`, {
    ca: pki('ca.crt'),
    cert: pki('etcd-client.crt'),
    key: pki('etcd-client.key'),
  })
  const value = new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]
  if (value === undefined) throw new Error(`etcd has no metric ${name}`)
  return Number(value)
}

function get(url: string, tls: { readonly ca: Buffer; readonly cert: Buffer; readonly key: Buffer }) {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const call = request(url, tls, (response) => {
    let text = ''
    response.setEncoding('utf8')
    response.on('data', (chunk: string) => {
      text += chunk
    })
    response.on('end', () => resolve(text))
    response.on('error', reject)
  })
  call.on('error', reject)
  call.end()
  return promise
}
