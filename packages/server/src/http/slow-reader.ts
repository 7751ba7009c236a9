import type { ServerResponse } from 'node:http'

/** A reader that takes nothing for so long is cut off: what it reads from, a view of the store, holds back compaction. */
const STALL_MS = 30_000

/** Hands bytes to the socket and waits until it has room again. Returns `false` when nobody reads any more. */
export function writeAndWait(response: ServerResponse, chunk: string | Uint8Array): Promise<boolean> {
  if (response.destroyed) return Promise.resolve(false)
  if (response.write(chunk)) return Promise.resolve(true)
  return new Promise((resolve) => {
    const stalled = setTimeout(() => response.destroy(), STALL_MS)
    const settle = (): void => {
      clearTimeout(stalled)
      response.off('drain', settle)
      response.off('close', settle)
      resolve(!response.destroyed)
    }
    response.on('drain', settle)
    response.on('close', settle)
  })
}
