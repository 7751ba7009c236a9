import type { ServerResponse } from 'node:http'

/** Up to here making a string of the bytes costs less than a second buffer on the way to the socket. */
const ONE_WRITE_BYTES_MAX = 8 * 1024

/**
 * Ends a response with these bytes. Node joins a string to the head and writes both at once; head and buffer go out as two,
 * by a dearer call. By itself this is a small gain; what matters for reads is answer-together.ts.
 */
export function endWith(response: ServerResponse, bytes: Uint8Array): void {
  if (bytes.length > ONE_WRITE_BYTES_MAX) response.end(bytes)
  else response.end(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1'), 'latin1')
}
