import { setTimeout as pause } from 'node:timers/promises'

/** Times as long as usual that a test by hand waits, on a machine that does much else: `PATIENCE=10`. */
export const PATIENCE = Number(process.env['PATIENCE'] ?? 1)

/**
 * Looks again and again until something holds, and fails with what it was when the deadline passes. Returns what
 * was found. A thrown error counts as "not yet".
 */
export async function eventually<T>(
  what: string,
  look: () => Promise<T | undefined | false> | T | undefined | false,
  withinMs = 30_000,
  everyMs = 50,
): Promise<T> {
  const deadline = performance.now() + withinMs * PATIENCE
  let last: unknown
  for (;;) {
    try {
      const found = await look()
      if (found !== undefined && found !== false) return found
      last = found
    } catch (error) {
      last = error
    }
    if (performance.now() > deadline) throw new Error(`not within ${withinMs * PATIENCE} ms: ${what}`, { cause: last })
    await pause(everyMs)
  }
}
