import type { Entry } from '../record/entry.ts'
import { compareVersions, type Version } from './version.ts'

/** What decides between two entries of one key. The hash may be shortened, on both sides alike. */
export interface Comparable {
  readonly version: Version
  readonly hash: string
}

/**
 * The order that decides between two entries of one key (frontier.md R4): hlc, then replica id, then content
 * hash. It is total on distinct entries, so merging is associative, commutative and idempotent (P4).
 */
export function compareEntries(a: Comparable, b: Comparable): number {
  return compareVersions(a.version, b.version) || (a.hash < b.hash ? -1 : a.hash > b.hash ? 1 : 0)
}

/** The entry that survives. */
export function merge(a: Entry, b: Entry): Entry {
  return compareEntries(a, b) >= 0 ? a : b
}
