import { compareHlc, type Hlc } from '../clock/hlc.ts'
import type { Held } from '../ports.ts'
import { purgeableAt, type Entry } from '../record/entry.ts'

/**
 * Whether an entry is absent, everywhere and at once: a tombstone at or below the frontier, or an expired entry of which
 * both version and expiry are (frontier.md R10). The disk may follow later.
 */
export function isPurgeable(entry: Entry, frontier: Hlc): boolean {
  const from = purgeableAt(entry)
  return from !== undefined && compareHlc(from, frontier) <= 0
}

/** What a key holds as far as anybody may see. */
export function presentAt(held: Held, frontier: Hlc): Held {
  return typeof held === 'object' && isPurgeable(held, frontier) ? undefined : held
}
