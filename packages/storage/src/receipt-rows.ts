import {
  FINGERPRINT_BYTES,
  WRITE_ID_BYTES,
  type CommitBatch,
  type Hash,
  type Receipt,
  type ReceiptGroup,
  type WriteId,
} from '@grapevine/core'
import { ByteReader, ByteWriter } from './byte-writer.ts'
import { numberOfRow, receiptGroupRow, receiptRow, rowsOf } from './key-layout.ts'
import type { Database, Rows } from './level-store.ts'
import { isCorruption, type Reading } from './read-rows.ts'
import { isSealed, openRow, sealRow } from './sealed-row.ts'
import { orStoreError, storeErrorOf } from './store-trouble.ts'

const RECEIPT_BYTES = 36
const READ = { keyEncoding: 'buffer', valueEncoding: 'buffer' } as const

/**
 * Puts the rows of a batch's receipts: one by the id of each, which answers repetitions, and one for all of them, which tells
 * in what order they may be forgotten. Returns how many receipts there have been.
 */
export function logReceipts(batch: CommitBatch, number: number, total: number, rows: Rows, hash: Hash): number {
  const { receipts = [], forgotten } = batch
  for (const id of forgotten?.ids ?? []) rows.del(receiptRow(id), READ)
  for (const group of forgotten?.groups ?? []) rows.del(receiptGroupRow(group), READ)
  if (receipts.length === 0) return total
  for (const [id, receipt] of receipts) rows.put(receiptRow(id), sealRow(encodeReceipt(receipt), hash), READ)
  const after = total + receipts.length
  const group = new ByteWriter(12 + receipts.length * WRITE_ID_BYTES).uint48(Math.max(0, batch.atMs)).uint48(after)
  for (const [id] of receipts) group.byteString(id)
  rows.put(receiptGroupRow(number), sealRow(group.finish(), hash), READ)
  return after
}

export function readReceipt(db: Database, id: WriteId, hash: Hash): Receipt | undefined {
  try {
    return decodeReceipt(db.getSync(receiptRow(id), READ), hash)
  } catch (error) {
    if (isCorruption(error)) return undefined
    throw storeErrorOf('the database cannot be read', error)
  }
}

export async function readReceipts(
  db: Database,
  ids: readonly WriteId[],
  hash: Hash,
): Promise<readonly (Receipt | undefined)[]> {
  try {
    return (await db.getMany(ids.map(receiptRow), READ)).map((row) => decodeReceipt(row, hash))
  } catch {
    // One bad block fails them all.
    return ids.map((id) => readReceipt(db, id, hash))
  }
}

/** How many receipts there have been, by the newest group that is kept. */
export async function receiptsEver(db: Database, hash: Hash, reading: Reading = READ): Promise<number> {
  const [row] = await db.values({ ...rowsOf('k'), reverse: true, limit: 1, ...reading }).all()
  return row === undefined ? 0 : decodeGroup(row, 0, hash).total
}

/** The oldest groups, as many as hold `limit` ids, or one. */
export async function oldestGroups(
  db: Database,
  limit: number,
  reading: Reading,
  hash: Hash,
): Promise<readonly ReceiptGroup[]> {
  const groups: ReceiptGroup[] = []
  const rows = await orStoreError(() => db.iterator({ ...rowsOf('k'), ...reading }))
  let ids = 0
  try {
    for (;;) {
      const next = await orStoreError(() => rows.next())
      if (next === undefined) return groups
      const group = decodeGroup(next[1], numberOfRow(next[0]), hash)
      ids += group.ids.length
      if (ids > limit && groups.length > 0) return groups
      groups.push(group)
    }
  } finally {
    await rows.close()
  }
}

function encodeReceipt({ version, expiresAtMs, fingerprint, atMs }: Receipt): Buffer {
  return new ByteWriter(RECEIPT_BYTES)
    .uint48(version.hlc.wallMs)
    .uint16(version.hlc.counter)
    .hex(version.replica)
    .uint48(expiresAtMs)
    .byteString(fingerprint)
    .uint48(Math.max(0, atMs))
    .finish()
}

/** What cannot be read is none: its write is then new here, as it is on a node that never received it. */
function decodeReceipt(row: Buffer | undefined, hash: Hash): Receipt | undefined {
  if (row === undefined || !isSealed(row, hash)) return undefined
  const reader = new ByteReader(openRow(row, hash, 'a receipt'))
  return {
    version: { hlc: { wallMs: reader.uint48(), counter: reader.uint16() }, replica: reader.hex(8) },
    expiresAtMs: reader.uint48(),
    fingerprint: reader.bytes(FINGERPRINT_BYTES).toString('latin1'),
    atMs: reader.uint48(),
  }
}

/** One that cannot be read is forgotten at once; the receipts that it named stay until their ids are used again. */
function decodeGroup(row: Buffer, number: number, hash: Hash): ReceiptGroup {
  if (!isSealed(row, hash)) return { number, atMs: 0, total: 0, ids: [] }
  const content = openRow(row, hash, 'a group of receipts')
  const reader = new ByteReader(content)
  const [atMs, total] = [reader.uint48(), reader.uint48()]
  const count = (content.length - 12) / WRITE_ID_BYTES
  return {
    number,
    atMs,
    total,
    ids: Array.from({ length: count }, () => reader.bytes(WRITE_ID_BYTES).toString('latin1')),
  }
}
