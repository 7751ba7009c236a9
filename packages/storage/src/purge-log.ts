import {
  PURGE_RECORDS_MAX,
  PURGE_RECORD_BATCHES_MAX,
  purgeableAt,
  type Change,
  type Digest,
  type Entry,
  type PurgeRecord,
} from '@grapevine/core'
import { ByteReader, ByteWriter } from './byte-writer.ts'

/** What one batch dropped is one row: `at (6) ‖ count (4) ‖ { key hash (32) ‖ hlc (8) ‖ replica (8) ‖ expires at (6) }`. */
export interface PurgeRow {
  readonly number: number
  readonly count: number
}

const KEY_HASH_BYTES = 32

/** A value that went because another member has seen it deleted (frontier.md R19) is no purge. */
export function droppedBy(changes: readonly Change[]): readonly Entry[] {
  return changes.flatMap(({ after, before }) =>
    after === undefined && typeof before === 'object' && purgeableAt(before) !== undefined ? [before] : [],
  )
}

export function encodePurged(dropped: readonly Entry[], atMs: number): Buffer {
  const writer = new ByteWriter(10 + dropped.length * 54).uint48(Math.max(0, atMs)).uint32(dropped.length)
  for (const { keyHash, version, expiresAtMs } of dropped)
    writer
      .byteString(keyHash)
      .uint48(version.hlc.wallMs)
      .uint16(version.hlc.counter)
      .hex(version.replica)
      .uint48(expiresAtMs)
  return writer.finish()
}

/** What such a row says of one key. */
export function findPurged(row: Buffer, keyHash: Digest): PurgeRecord | undefined {
  const reader = new ByteReader(row)
  const purgedAtMs = reader.uint48()
  for (let left = reader.uint32(); left > 0; left--) {
    const isIt = reader.bytes(KEY_HASH_BYTES).toString('latin1') === keyHash
    const version = { hlc: { wallMs: reader.uint48(), counter: reader.uint16() }, replica: reader.hex(8) }
    const expiresAtMs = reader.uint48()
    if (isIt) return { version, expiresAtMs, purgedAtMs }
  }
  return undefined
}

/** When the purge was that such a row tells of. */
export function purgedAtMsOf(row: Buffer): number {
  return new ByteReader(row).uint48()
}

/** The oldest rows beyond what is kept. */
export function tooMany(rows: readonly PurgeRow[]): readonly PurgeRow[] {
  let kept = 0
  const firstKept = rows.findLastIndex((row, index) => {
    kept += row.count
    return kept > PURGE_RECORDS_MAX || rows.length - index > PURGE_RECORD_BATCHES_MAX
  })
  return rows.slice(0, firstKept + 1)
}
