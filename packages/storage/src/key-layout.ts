import {
  writeUint48,
  type Address,
  type Digest,
  type Dot,
  type Hlc,
  type Partition,
  type WriteId,
} from '@grapevine/core'
import type { PurgeRow } from './purge-log.ts'

/**
 * The rows of the database (docs/format.md). The first byte tells the kind:
 *
 * | row | name | content |
 * |---|---|---|
 * | `e` | address | envelope |
 * | `d` | partition, writer, seq | address: the dot index, which answers pulls |
 * | `h` | key hash | address: the hash index, which lists the entries of a leaf |
 * | `t` | hlc, address | nothing: what may be purged, by when at the earliest |
 * | `f` | hlc | why the frontier was raised to it |
 * | `g` | number of the batch, count | what the batch purged |
 * | `i` | write id | receipt of a named write |
 * | `k` | number of the batch | the ids of the receipts that came with it |
 * | `j` | number of the batch | what the batch did to the vectors and the tree: the journal |
 * | `p` | partition | sums and vector as they were at the checkpoint |
 * | `m` | a word | identity, roster, peers, clock reserve, frontier, folded writers, own writers, checkpoint |
 */
export type RowKind = 'e' | 'd' | 'h' | 't' | 'f' | 'g' | 'i' | 'k' | 'j' | 'p' | 'm'

export function entryRow(address: Address): Buffer {
  return Buffer.from(`e${address}`, 'latin1')
}

export function addressOfEntryRow(row: Buffer): Address {
  return row.toString('latin1', 1)
}

export function dotRow(partition: Partition, { writer, seq }: Dot): Buffer {
  const row = Buffer.allocUnsafe(16)
  row[0] = 0x64
  row[1] = partition
  row.write(writer, 2, 8, 'hex')
  writeUint48(row, 10, seq)
  return row
}

export function dotOfRow(row: Buffer): Dot {
  return { writer: row.toString('hex', 2, 10), seq: row.readUIntBE(10, 6) }
}

export function hashRow(keyHash: Digest): Buffer {
  return Buffer.from(`h${keyHash}`, 'latin1')
}

export function keyHashOfRow(row: Buffer): Digest {
  return row.toString('latin1', 1)
}

export function purgeRow(hlc: Hlc, address: Address): Buffer {
  const row = rowOf(0x74, hlc.wallMs, hlc.counter, address.length)
  row.write(address, ROW_HEAD_BYTES, 'latin1')
  return row
}

export function hlcOfPurgeRow(row: Buffer): Hlc {
  return { wallMs: row.readUIntBE(1, 6), counter: row.readUInt16BE(7) }
}

export function addressOfPurgeRow(row: Buffer): Address {
  return row.toString('latin1', 9)
}

/** Behind every purge row of this reading. */
export function purgeRowsEnd({ wallMs, counter }: Hlc): Buffer {
  const row = rowOf(0x74, wallMs, counter, 1)
  // No address begins with it: buckets are ASCII.
  row[ROW_HEAD_BYTES] = 0xff
  return row
}

export function groundsRow({ wallMs, counter }: Hlc): Buffer {
  return rowOf(0x66, wallMs, counter)
}

export function purgeLogRow({ number, count }: PurgeRow): Buffer {
  return rowOf(0x67, number, count)
}

export function purgeLogOfRow(row: Buffer): PurgeRow {
  return { number: row.readUIntBE(1, 6), count: row.readUInt16BE(7) }
}

export function receiptRow(id: WriteId): Buffer {
  return Buffer.from(`i${id}`, 'latin1')
}

export function receiptGroupRow(number: number): Buffer {
  return numberedRow(0x6b, number)
}

export function journalRow(number: number): Buffer {
  return numberedRow(0x6a, number)
}

/** Of a journal row or a group of receipts. */
export function numberOfRow(row: Buffer): number {
  return row.readUIntBE(1, 6)
}

function numberedRow(kind: number, number: number): Buffer {
  const row = Buffer.allocUnsafe(7)
  row[0] = kind
  writeUint48(row, 1, number)
  return row
}

export function partitionRow(partition: Partition): Buffer {
  return Buffer.from([0x70, partition])
}

export type MetaWord = 'identity' | 'roster' | 'peers' | 'reserve' | 'frontier' | 'folded' | 'writers' | 'checkpoint'

export function metaRow(word: MetaWord): Buffer {
  return Buffer.from(`m${word}`, 'latin1')
}

/** All rows of a kind whose names begin so. */
export function rowsOf(kind: RowKind, prefix = ''): { gte: Buffer; lt: Buffer } {
  const from = `${kind}${prefix}`
  return { gte: Buffer.from(from, 'latin1'), lt: Buffer.from(successorOfPrefix(from), 'latin1') }
}

/** The least byte string above all that begin with `prefix`, which does not consist of 0xff alone. */
function successorOfPrefix(prefix: string): string {
  const kept = prefix.replace(/\u00ff+$/, '')
  return kept.slice(0, -1) + String.fromCharCode(kept.charCodeAt(kept.length - 1) + 1)
}

const ROW_HEAD_BYTES = 9

/** Kind, 48 bits, 16 bits, and room for what follows. */
function rowOf(kind: number, first: number, second: number, tailBytes = 0): Buffer {
  const row = Buffer.allocUnsafe(ROW_HEAD_BYTES + tailBytes)
  row[0] = kind
  writeUint48(row, 1, first)
  row.writeUInt16BE(second, 7)
  return row
}
