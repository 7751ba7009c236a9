import type { RestoreBody, RestoreKey, RestoreRefusal, SnapshotOrigin } from '@grapevine/contract'
import { bucketOf, etagOf, isExpired, isTombstone, keyOf, type Entry } from '@grapevine/core'
import type { ImportFate } from '@grapevine/replica'
import { keyFields } from '../http/key-fields.ts'

/** Keys named in one report: whoever has lost more than that writes whole prefixes anew. */
const KEYS_MAX = 10_000
/** And no more bytes of them than this, before they become JSON. */
const KEY_BYTES_MAX: number = 2 * 1024 * 1024

type Counted = Exclude<keyof RestoreBody, 'snapshot' | 'keys' | 'keysOmitted'>

/** What became of the entries of a snapshot: all are counted, and those that wait for somebody's decision are named. */
export class RestoreTally {
  readonly #counts: Record<Counted, number> = {
    entries: 0,
    applied: 0,
    present: 0,
    older: 0,
    deleted: 0,
    quarantined: 0,
    beyondDrift: 0,
    unreadable: 0,
    written: 0,
    kept: 0,
    skipped: 0,
  }
  readonly #keys: RestoreKey[] = []
  #keyBytes = 0
  #keysOmitted = 0

  /** Entries that changed something, so far. */
  get changed(): number {
    return this.#counts.applied + this.#counts.written
  }

  get counts(): Readonly<Record<Counted, number>> {
    return this.#counts
  }

  add(counted: Counted, by = 1): void {
    this.#counts[counted] += by
  }

  note(entry: Entry, fate: ImportFate, wallMs: number): void {
    this.#counts[COUNTED[fate]]++
    const why = WHY[fate]
    if (why === undefined) return
    if (this.#keys.length >= KEYS_MAX || this.#keyBytes >= KEY_BYTES_MAX) {
      this.#keysOmitted++
      return
    }
    this.#keyBytes += entry.address.length
    this.#keys.push({
      bucket: bucketOf(entry.address),
      ...keyFields(keyOf(entry.address)),
      why,
      etag: etagOf(entry.version),
      state: isTombstone(entry) ? 'tombstone' : isExpired(entry, wallMs) ? 'expired' : 'value',
    })
  }

  body(snapshot: SnapshotOrigin): RestoreBody {
    return { snapshot, ...this.#counts, keys: this.#keys, keysOmitted: this.#keysOmitted }
  }
}

const COUNTED: Readonly<Record<ImportFate, Counted>> = {
  news: 'applied',
  known: 'present',
  superseded: 'older',
  outdated: 'older',
  refused: 'deleted',
  quarantined: 'quarantined',
  'beyond-drift': 'beyondDrift',
  failed: 'unreadable',
}

const WHY: Partial<Readonly<Record<ImportFate, RestoreRefusal>>> = {
  quarantined: 'quarantined',
  'beyond-drift': 'beyond-drift',
  failed: 'unreadable',
}
