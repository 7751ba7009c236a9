import { areSeqRanges, isId, SEQ_MAX, type VectorRows } from '@grapevine/core'
import { bytes, malformed, type Codec } from './fields.ts'

const WRITER_BYTES = 8
const COUNT_BYTES = 4
const SEQ_BYTES = 6

/**
 * A version vector as one run of bytes: `{ writer (8) ‖ count (4) ‖ { number (6) } }`. As arrays each writer would
 * cost ten times its bytes in memory, and every restart of a replica adds a writer.
 */
export const vector: Codec<VectorRows> = {
  encode: (rows) => {
    const size = rows.reduce((sum, [, ranges]) => sum + WRITER_BYTES + COUNT_BYTES + ranges.length * SEQ_BYTES, 0)
    const packed = Buffer.allocUnsafe(size)
    let at = 0
    for (const [writer, ranges] of rows) {
      at += packed.write(writer, at, WRITER_BYTES, 'hex')
      at = packed.writeUInt32BE(ranges.length, at)
      for (const seq of ranges) at = packed.writeUIntBE(seq, at, SEQ_BYTES)
    }
    return packed
  },
  decode: (row) => {
    const packed = asBuffer(bytes.decode(row))
    const rows: [string, number[]][] = []
    for (let at = 0; at < packed.length;) {
      if (packed.length - at < WRITER_BYTES + COUNT_BYTES) throw malformed('a vector ends early')
      const writer = packed.toString('hex', at, at + WRITER_BYTES)
      const count = packed.readUInt32BE(at + WRITER_BYTES)
      at += WRITER_BYTES + COUNT_BYTES
      if (count * SEQ_BYTES > packed.length - at) throw malformed('a vector ends early')
      const end = at + count * SEQ_BYTES
      const ranges: number[] = []
      for (; at < end; at += SEQ_BYTES) ranges.push(packed.readUIntBE(at, SEQ_BYTES))
      // Vectors are compared by a hash of their text, so there is one order.
      if (!isId(writer) || (rows.at(-1)?.[0] ?? '') >= writer) throw malformed('writers out of order')
      if (!areSeqRanges(ranges) || (ranges.at(-1) ?? 0) > SEQ_MAX) throw malformed('ranges out of order')
      rows.push([writer, ranges])
    }
    return rows
  },
}

function asBuffer(view: Uint8Array): Buffer {
  return Buffer.from(view.buffer, view.byteOffset, view.byteLength)
}
