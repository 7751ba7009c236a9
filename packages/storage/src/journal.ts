import type { CommitBatch, PartitionState, Totals, VectorRows, VersionVector } from '@grapevine/core'
import { ByteReader, ByteWriter } from './byte-writer.ts'

/**
 * The journal: one row per batch that says what the batch did to vectors, leaf sums and totals. Without it each
 * entry would cost a row for its vector and one for its leaf; with it, about 50 bytes. Opening replays the rows
 * since the last checkpoint, so nothing is ever rebuilt from the entries.
 */
type Journaled = Pick<CommitBatch, 'dots' | 'adopted' | 'leaves' | 'totals' | 'rebuilds'>

/** What opening builds up: the checkpoint, then each journal row on top of it. */
export interface ReplayTarget {
  readonly sums: Uint8Array
  readonly vectors: readonly VersionVector[]
  totals: Totals
  rebuilds: number
}

export const SUM_BYTES = 32
const DOT_BYTES = 15
const LEAF_BYTES = 2 + SUM_BYTES

export function encodeJournal(batch: Journaled): Buffer {
  const { dots, adopted, leaves, totals, rebuilds } = batch
  const writer = new ByteWriter(64 + dots.length * DOT_BYTES + leaves.length * LEAF_BYTES + adopted.length * 256)
  writer.uint48(totals.values).uint48(totals.tombstones).uint48(totals.bytes).uint48(totals.tombstoneBytes)
  writer.uint48(rebuilds)
  writer.uint32(dots.length)
  for (const { partition, dot } of dots) writer.uint8(partition).hex(dot.writer).uint48(dot.seq)
  writer.uint32(leaves.length)
  for (const { leaf, sum } of leaves) writer.uint16(leaf).bytes(sum)
  writer.uint16(adopted.length)
  for (const { partition, rows } of adopted) writeVector(writer.uint8(partition), rows)
  return writer.finish()
}

export function replayJournal(row: Buffer, target: ReplayTarget): void {
  const reader = new ByteReader(row)
  target.totals = {
    values: reader.uint48(),
    tombstones: reader.uint48(),
    bytes: reader.uint48(),
    tombstoneBytes: reader.uint48(),
  }
  target.rebuilds = reader.uint48()
  for (let left = reader.uint32(); left > 0; left--) {
    const partition = reader.uint8()
    target.vectors[partition]?.add({ writer: reader.hex(8), seq: reader.uint48() })
  }
  for (let left = reader.uint32(); left > 0; left--) {
    const leaf = reader.uint16()
    target.sums.set(reader.bytes(SUM_BYTES), leaf * SUM_BYTES)
  }
  for (let left = reader.uint16(); left > 0; left--) {
    const partition = reader.uint8()
    target.vectors[partition]?.adopt(readVector(reader))
  }
}

export function encodePartition({ sums, vector }: Pick<PartitionState, 'sums' | 'vector'>): Buffer {
  return writeVector(new ByteWriter(sums.length + 256).bytes(sums), vector).finish()
}

export function decodePartition(row: Buffer, sumsBytes: number): Pick<PartitionState, 'sums' | 'vector'> {
  const reader = new ByteReader(row)
  return { sums: reader.bytes(sumsBytes), vector: readVector(reader) }
}

function writeVector(writer: ByteWriter, rows: VectorRows): ByteWriter {
  writer.uint16(rows.length)
  for (const [id, ranges] of rows) {
    writer.hex(id).uint32(ranges.length)
    for (const seq of ranges) writer.uint48(seq)
  }
  return writer
}

function readVector(reader: ByteReader): VectorRows {
  return Array.from({ length: reader.uint16() }, () => {
    const id = reader.hex(8)
    return [id, Array.from({ length: reader.uint32() }, () => reader.uint48())] as const
  })
}
