import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { InvalidInputError } from '../base/index.ts'

/** Where one replica of the controller is asked, or whichever answers for all of them. */
export interface Place {
  /** `https://host:port`, for messages. */
  readonly url: string
  /** `host:port` of the URL, for the header. */
  readonly authority: string
  /** What to connect to: the host of the URL, or one address of its name. */
  readonly host: string
  readonly port: number
  /** The name to find in the certificate; undefined: the address itself. */
  readonly servername: string | undefined
}

/** Finds the addresses of a name. */
export type Resolve = (name: string) => Promise<readonly string[]>

const resolveAgainMs = 5000

const systemResolve: Resolve = async (name) =>
  (await lookup(name, { all: true, verbatim: true })).map(({ address }) => address)

/** Which replica is asked next. A name with several addresses is as many places. */
export class Replicas {
  readonly #urls: readonly URL[]
  readonly #servername: string | undefined
  readonly #nameOfAddresses: string | undefined
  readonly #resolve: Resolve
  #places: readonly Place[]
  #current: Place
  #next = 0
  #resolvedAtMs = Number.NEGATIVE_INFINITY

  /**
   * @param servername the name in every certificate, where it is not the host of the URL
   * @throws {InvalidInputError} on a URL that is not https
   */
  constructor(urls: readonly string[], servername: string | undefined, resolve: Resolve = systemResolve) {
    this.#urls = urls.map((url, index) => parseUrl(url, `urls[${index}]`))
    this.#servername = servername
    // A leader is often named by an address that is in no certificate, as of a pod: it goes by the name of all.
    this.#nameOfAddresses = this.#urls.map(hostOf).find((host) => isIP(host) === 0)
    this.#resolve = resolve
    this.#places = this.#urls.map((url) => this.#placeOf(url))
    const [first] = this.#places
    if (first === undefined)
      throw new InvalidInputError('urls', [], 'is empty', 'give the URL of the controller')
    this.#current = first
    this.#resolveSoon()
  }

  get current(): Place {
    return this.#current
  }

  /** The next place, unless another call has turned away from this one already. */
  turnFrom(failed: Place): void {
    this.#resolveSoon()
    if (!isSame(this.#current, failed)) return
    const index = this.#places.findIndex((place) => isSame(place, failed))
    this.#next = ((index < 0 ? this.#next : index) + 1) % this.#places.length
    this.#current = this.#places[this.#next] ?? failed
  }

  follow(leader: Place): void {
    this.#current = leader
  }

  /** @returns undefined for what is no https URL: the hint is ignored */
  placeOfHint(url: string): Place | undefined {
    const parsed = URL.parse(url)
    return parsed?.protocol === 'https:' ? this.#placeOf(parsed) : undefined
  }

  othersThan(place: Place): readonly Place[] {
    this.#resolveSoon()
    return this.#places.filter((other) => !isSame(other, place))
  }

  #placeOf(url: URL, address?: string): Place {
    const host = hostOf(url)
    const servername = this.#servername ?? (isIP(host) === 0 ? host : this.#nameOfAddresses)
    return {
      url: url.origin,
      authority: url.host,
      host: address ?? host,
      port: Number(url.port || 443),
      servername,
    }
  }

  /** In the background: whoever asks goes on with what is known. */
  #resolveSoon(): void {
    const nowMs = performance.now()
    const hasNames = this.#urls.some((url) => isIP(hostOf(url)) === 0)
    if (!hasNames || nowMs - this.#resolvedAtMs < resolveAgainMs) return
    this.#resolvedAtMs = nowMs
    void Promise.all(this.#urls.map((url) => this.#placesOf(url))).then((places) => {
      this.#places = places.flat()
    })
  }

  async #placesOf(url: URL): Promise<readonly Place[]> {
    const host = hostOf(url)
    if (isIP(host) !== 0) return [this.#placeOf(url)]
    // A name that has no address now stays what it is: to connect to it tells why.
    const addresses = await this.#resolve(host).catch(() => [])
    return addresses.length === 0
      ? [this.#placeOf(url)]
      : addresses.map((address) => this.#placeOf(url, address))
  }
}

/** True for two ways to name one place. */
export function isSame(one: Place, other: Place): boolean {
  return one.host === other.host && one.port === other.port
}

/** IPv6 without its brackets. */
function hostOf(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '')
}

function parseUrl(text: string, field: string): URL {
  const hint = 'write https://host:port'
  const url = URL.parse(text)
  if (url === null) throw new InvalidInputError(field, text, 'is not a URL', hint)
  if (url.protocol !== 'https:') throw new InvalidInputError(field, text, 'is not https', hint)
  return url
}
