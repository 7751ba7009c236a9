import {
  addressOf,
  bytesOf,
  partitionOf,
  sealEntry,
  type CommitBatch,
  type Entry,
  type Hash,
  type Held,
  type Receipt,
} from '@grapevine/core'
import { hash as nodeHash } from 'node:crypto'

export const sha256: Hash = { sha256: (bytes) => nodeHash('sha256', bytes, 'binary') }

export interface EntryParts {
  readonly key: string
  readonly wallMs: number
  readonly seq: number
  readonly value?: string | undefined
  readonly writer?: string
  readonly replica?: string
  readonly expiresAtMs?: number
}

export const WRITER = 'aaaaaaaaaaaaaaaa'
export const REPLICA = 'bbbbbbbbbbbbbbbb'

export function entryOf(parts: EntryParts): Entry {
  const address = addressOf('things', parts.key)
  return sealEntry(
    {
      address,
      keyHash: sha256.sha256(bytesOf(address)),
      version: { hlc: { wallMs: parts.wallMs, counter: 0 }, replica: parts.replica ?? REPLICA },
      dot: { writer: parts.writer ?? WRITER, seq: parts.seq },
      expiresAtMs: parts.expiresAtMs ?? 0,
      contentType: 'text/plain',
      value: parts.value === undefined ? undefined : Buffer.from(parts.value),
    },
    sha256,
  )
}

export function receiptWith(parts: Partial<Receipt> = {}): Receipt {
  return {
    version: { hlc: { wallMs: 7, counter: 8 }, replica: REPLICA },
    expiresAtMs: 9,
    fingerprint: '\0fingers',
    atMs: 1_000,
    ...parts,
  }
}

/** A batch that stores these entries over what was there, with all that goes with it but the sums. */
export function batchOf(
  changes: readonly { after: Entry | undefined; before?: Held }[],
  more: Partial<CommitBatch> = {},
): CommitBatch {
  return {
    atMs: 1_000,
    changes: changes.map(({ after, before }) => ({ after, before })),
    dots: changes.flatMap(({ after }) =>
      after === undefined ? [] : [{ partition: partitionOf(after.keyHash), dot: after.dot }],
    ),
    adopted: [],
    leaves: [],
    totals: { values: changes.length, tombstones: 0, bytes: 0, tombstoneBytes: 0 },
    rebuilds: 0,
    ...more,
  }
}
