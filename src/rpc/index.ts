/**
 * Keys and certificates, and the calls between agent and controller over HTTPS.
 * Types to know: `AllocatorClient`, `AllocatorHandlers`, `KeyPair`. This room decides nothing about addresses.
 */
export {
  type AllocatorClient,
  type AllocatorClientOptions,
  createAllocatorClient,
} from './allocator-client.ts'
export { AllocatorError, leaderHeader, leadingPath, NotLeaderError } from './allocator-error.ts'
export {
  type AllocatorHandlers,
  type AllocatorServerOptions,
  type Authenticate,
  serveAllocator,
} from './allocator-server.ts'
export {
  ListenError,
  type Route,
  type RouteReply,
  type RouteRequest,
  type RunningServer,
  type ServerLimits,
  type ServerOptions,
  type ServerTls,
  serveHttps,
} from './https-server.ts'
export {
  backdateMs,
  type CertificateRequest,
  certificateEndMs,
  createCa,
  issueCertificate,
  type KeyPair,
} from './pki.ts'
export { CallerRefusedError, type RefusalReason, refusalReasons } from './refusal.ts'
