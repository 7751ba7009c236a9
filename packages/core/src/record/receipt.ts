import type { ByteString } from '../bytes/latin1.ts'
import { RECEIPT_AGE_MS_MAX, RECEIPTS_MAX } from '../limits.ts'
import type { Version } from '../version/version.ts'
import type { Entry } from './entry.ts'
import type { WriteId, WriteName } from './write-name.ts'

/** What a node remembers of a write that had a name: enough to answer its repetition as it was answered first. */
export interface Receipt {
  readonly version: Version
  readonly expiresAtMs: number
  readonly fingerprint: ByteString
  /** When this node took the write in, by its wall clock. */
  readonly atMs: number
}

/** Receipts that came with one batch. */
export interface ReceiptGroup {
  /** Of the batch. */
  readonly number: number
  readonly atMs: number
  /** How many receipts there have been, these included. */
  readonly total: number
  readonly ids: readonly WriteId[]
}

/** What a named write is here: `new`, the `replay` of one that is known, or the `mismatch` of a name and a request. */
export function judgeName(
  { fingerprint }: WriteName,
  receipt: Receipt | undefined,
  wallMs: number,
): 'new' | 'replay' | 'mismatch' {
  if (receipt === undefined || isForgotten(receipt, wallMs)) return 'new'
  return receipt.fingerprint === fingerprint ? 'replay' : 'mismatch'
}

/** The receipt of an entry that arrived, unless it had no name or is so old that nobody repeats it any more. */
export function receiptOf(entry: Entry, wallMs: number): Receipt | undefined {
  const { name, version, expiresAtMs } = entry
  if (name === undefined || version.hlc.wallMs <= wallMs - RECEIPT_AGE_MS_MAX) return undefined
  return { version, expiresAtMs, fingerprint: name.fingerprint, atMs: wallMs }
}

export function isForgotten({ atMs }: Pick<Receipt, 'atMs'>, wallMs: number): boolean {
  return atMs <= wallMs - RECEIPT_AGE_MS_MAX
}

/** Which of the oldest groups are no longer kept: 24 h are over, or there are 10⁶ newer receipts. */
export function forgettable(oldest: readonly ReceiptGroup[], total: number, wallMs: number): readonly ReceiptGroup[] {
  const firstKept = oldest.findIndex((group) => !isForgotten(group, wallMs) && total - group.total < RECEIPTS_MAX)
  return firstKept < 0 ? oldest : oldest.slice(0, firstKept)
}
