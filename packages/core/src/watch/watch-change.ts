import { isExpired, type Entry } from '../record/entry.ts'
import type { Address } from '../record/address.ts'
import type { Version } from '../version/version.ts'

export type WatchChangeType = 'put' | 'delete' | 'expire'

/** How a change came to the replica that tells of it. */
export type WatchVia = 'local' | 'rumor' | 'anti-entropy' | 'read-repair' | 'hint'

/** A change of one key as those who watch are told of it. */
export interface WatchChange {
  readonly type: WatchChangeType
  readonly address: Address
  /** What holds from now on; of an expiry, what held until then. */
  readonly version: Version
  readonly via: WatchVia
  /** From the write, by its version, to its commit here; of an expiry, since the entry expired. */
  readonly lagMs: number
}

/** What an entry is to somebody who sees it for the first time. */
export function changeTypeOf(entry: Entry, wallMs: number): WatchChangeType {
  if (entry.value === undefined) return 'delete'
  return isExpired(entry, wallMs) ? 'expire' : 'put'
}

/** Tells of an entry as it is now. */
export function changeOf(entry: Entry, via: WatchVia, wallMs: number): WatchChange {
  const { address, version, expiresAtMs } = entry
  const type = changeTypeOf(entry, wallMs)
  const sinceMs = type === 'expire' ? expiresAtMs : version.hlc.wallMs
  return { type, address, version, via, lagMs: Math.max(0, Math.floor(wallMs) - sinceMs) }
}
