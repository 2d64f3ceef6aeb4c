import type { IncomingMessage } from 'node:http'

/** Reads a whole body; 'too-long' as soon as it is known to exceed `maxBytes`. Rejects when the sender stops early. */
export async function readBody(message: IncomingMessage, maxBytes: number): Promise<Buffer | 'too-long'> {
  if (Number(message.headers['content-length'] ?? 0) > maxBytes) return 'too-long'
  const parts: Buffer[] = []
  let byteCount = 0
  for await (const part of message) {
    const bytes = Buffer.isBuffer(part) ? part : Buffer.from(String(part))
    byteCount += bytes.byteLength
    if (byteCount > maxBytes) return 'too-long'
    parts.push(bytes)
  }
  return Buffer.concat(parts)
}
