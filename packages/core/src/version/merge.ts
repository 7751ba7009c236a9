import type { Entry } from '../record/entry.ts'
import { compareVersions } from './version.ts'

/**
 * The order that decides between two entries of one key (frontier.md R4): hlc, then replica id, then content
 * hash. It is total on distinct entries, so merging is associative, commutative and idempotent (P4).
 */
export function compareEntries(a: Entry, b: Entry): number {
  return compareVersions(a.version, b.version) || (a.hash < b.hash ? -1 : a.hash > b.hash ? 1 : 0)
}

/** The entry that survives. */
export function merge(a: Entry, b: Entry): Entry {
  return compareEntries(a, b) >= 0 ? a : b
}
