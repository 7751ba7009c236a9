import type { QuestionName } from '@grapevine/core'
import * as fc from 'fast-check'
import { Packr } from 'msgpackr'
import { anyId, sha256 } from '../../core/test/record/any-entry.ts'
import type { FrameHeader } from '../src/index.ts'
import { anyClusterId, anyMessages } from './any-message.ts'

export { sha256 }

export const NAMES = Object.keys(anyMessages) as QuestionName[]

export const HEADER: FrameHeader = { cluster: 'c'.repeat(32), from: 'a'.repeat(16), to: 'b'.repeat(16), request: 7 }

/** The header as it travels. */
export const HEADER_ROW: readonly unknown[] = [
  Buffer.from(HEADER.cluster, 'hex'),
  Buffer.from(HEADER.from, 'hex'),
  Buffer.from(HEADER.to, 'hex'),
  HEADER.request,
]

export const anyHeader: fc.Arbitrary<FrameHeader> = fc.record({
  cluster: fc.oneof(fc.constant(''), anyClusterId),
  from: fc.oneof(fc.constant(''), anyId),
  to: fc.oneof(fc.constant(''), anyId),
  request: fc.oneof(fc.nat(9), fc.integer({ min: 0, max: 2 ** 48 })),
})

const packr = new Packr({ useRecords: false })

/** A frame whose checksum is right, whatever is in it. */
export function sealed(head: Uint8Array, body: Uint8Array = packed(null), headBytes: number = head.length): Buffer {
  const rest = Buffer.concat([new Uint8Array(2), head, body])
  rest.writeUInt16BE(headBytes)
  return resealed(Buffer.concat([new Uint8Array(8), rest]))
}

/** The same frame with the checksum that its bytes have now. */
export function resealed(frame: Buffer): Buffer {
  const rest = frame.subarray(8)
  return Buffer.concat([Buffer.from(sha256.sha256(rest), 'latin1').subarray(0, 8), rest])
}

/** The frame of a question of which only the body is in doubt. */
export function question(name: string, row: unknown): Buffer {
  return sealed(packed([1, HEADER_ROW, name]), packed(row))
}

/** The frame of an answer of which only the body is in doubt. */
export function answer(row: unknown): Buffer {
  return sealed(packed([1, HEADER_ROW, null]), packed(row))
}

/** In msgpack, which packs the same thing the same way wherever it stands. */
export function packed(message: unknown): Uint8Array {
  return packr.pack(message)
}
