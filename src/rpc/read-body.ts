import type { IncomingMessage } from 'node:http'

/** Room for what many bodies hold at once. */
export interface BodyRoom {
  /** @returns false when so many bytes do not fit */
  take(bytes: number): boolean
}

/**
 * Reads a whole body; 'too-long' as soon as it is known to exceed `maxBytes`, 'no-room' when `room` has none left.
 * Rejects when the sender stops early.
 */
export async function readBody(
  message: IncomingMessage,
  maxBytes: number,
  room?: BodyRoom,
): Promise<Buffer | 'too-long' | 'no-room'> {
  if (Number(message.headers['content-length'] ?? 0) > maxBytes) return 'too-long'
  const parts: Buffer[] = []
  let byteCount = 0
  for await (const part of message) {
    const bytes = Buffer.isBuffer(part) ? part : Buffer.from(String(part))
    byteCount += bytes.byteLength
    if (byteCount > maxBytes) return 'too-long'
    if (room?.take(bytes.byteLength) === false) return 'no-room'
    parts.push(bytes)
  }
  return Buffer.concat(parts)
}
