// What etcd says of itself: the bytes that were put, and the size of its database.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Lab } from '../../test/integration/lab-harness.ts'
import { callHttps, type Tls } from './call-https.ts'

/** Sum of the sizes of all puts since etcd started; undefined when the API server is the lab's own. */
export async function etcdPutBytes({ controlPlaneDir, pids }: Lab): Promise<number | undefined> {
  const pid = pids().get('etcd')
  if (controlPlaneDir === undefined || pid === undefined) return undefined
  return new Etcd(controlPlaneDir, pid).putBytes()
}

/** The etcd of a control plane of our own. */
export class Etcd {
  readonly #url: string
  readonly #tls: Tls

  /**
   * @param controlPlaneDir folder of the control plane
   * @param pid of its etcd
   */
  constructor(controlPlaneDir: string, pid: number) {
    const args = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
    const flag = '--listen-client-urls='
    const url = args.find((arg) => arg.startsWith(flag))?.slice(flag.length)
    if (url === undefined) throw new Error(`etcd (${pid}) has no ${flag}`)
    this.#url = url
    const pki = (file: string) => readFileSync(join(controlPlaneDir, 'pki', file))
    this.#tls = { ca: pki('ca.crt'), cert: pki('etcd-client.crt'), key: pki('etcd-client.key') }
  }

  /** Sum of the sizes of all puts since etcd started. */
  async putBytes(): Promise<number> {
    return this.#metric(await this.#metrics(), 'etcd_debugging_mvcc_total_put_size_in_bytes')
  }

  /** Bytes of the database's file, and how many of them are no free pages. */
  async size(): Promise<{ readonly fileBytes: number; readonly usedBytes: number }> {
    const text = await this.#metrics()
    const fileBytes = this.#metric(text, 'etcd_mvcc_db_total_size_in_bytes')
    return { fileBytes, usedBytes: this.#metric(text, 'etcd_mvcc_db_total_size_in_use_in_bytes') }
  }

  /** Forgets all versions but the newest, as the API server has it do every five minutes; waits until that is done. */
  async compact(): Promise<void> {
    const { header } = await this.#post<{ readonly header: { readonly revision: string } }>(
      '/v3/maintenance/status',
      {},
    )
    await this.#post('/v3/kv/compaction', { revision: header.revision, physical: true })
  }

  /** Gives free pages back to the file system, so that the file begins small. */
  async defragment(): Promise<void> {
    await this.#post('/v3/maintenance/defragment', {})
  }

  async #post<T>(path: string, body: object): Promise<T> {
    const answer = await callHttps(`${this.#url}${path}`, this.#tls, JSON.stringify(body))
    return JSON.parse(answer) as T
  }

  async #metrics(): Promise<string> {
    return callHttps(`${this.#url}/metrics`, this.#tls)
  }

  #metric(text: string, name: string): number {
    const value = new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]
    if (value === undefined) throw new Error(`etcd has no metric ${name}`)
    return Number(value)
  }
}
