// The two parts of undici that are used. Its front door also loads fetch, web sockets, caches and mocks: 11 MB of each process.
declare module 'undici/lib/dispatcher/pool.js' {
  import { Pool } from 'undici'
  export default Pool
}

declare module 'undici/lib/api/api-request.js' {
  import type { Dispatcher } from 'undici'

  /** `dispatcher.request()`, which the front door adds to all dispatchers. */
  function request(this: Dispatcher, options: Dispatcher.RequestOptions): Promise<Dispatcher.ResponseData>
  export default request
}
