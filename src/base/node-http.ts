import type http from 'node:http'
import type https from 'node:https'

// An import of these modules reads everything that they export, and so loads what Node loads late: a client for fetch and web
// sockets, 5 MB of every process that never uses it.

/** `node:http`, as `import` would give it. */
export const nodeHttp = (): typeof http => process.getBuiltinModule('node:http')

/** `node:https`, as `import` would give it. */
export const nodeHttps = (): typeof https => process.getBuiltinModule('node:https')
