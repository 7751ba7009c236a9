import { MalformedMessageError } from '@grapevine/core'
import * as fc from 'fast-check'
import { unpack } from 'msgpackr'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, it } from 'vitest'
import { FrameCodec, scanMessage } from '../src/index.ts'
import { HEADER_ROW, packed, sealed, sha256 } from './frames.ts'

const codec = new FrameCodec(sha256)

/** Everything that we send, at every width that msgpack has for it. */
const { message: anyMessage } = fc.letrec<{ message: unknown; leaf: unknown }>((tie) => ({
  message: fc.oneof({ maxDepth: 6 }, tie('leaf'), fc.array(tie('message'), { maxLength: 20 })),
  leaf: fc.oneof(
    fc.constantFrom(null, true, false),
    fc.integer(),
    fc.maxSafeInteger(),
    fc.double(),
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }),
    fc.string({ unit: 'binary', maxLength: 300 }),
    fc.uint8Array({ maxLength: 300 }),
  ),
}))

describe('scanning a message', () => {
  it('passes whatever we may send', () => {
    const law = fc.property(anyMessage, (message) => {
      expect(() => scanMessage(packed(message))).not.toThrow()
    })
    fc.assert(law, { numRuns: 300 })
  })

  it.each([
    ['text', 'x'.repeat(70_000)],
    ['bytes', new Uint8Array(70_000)],
    ['a list', Array.from({ length: 70_000 }, (_, index) => index)],
  ])('passes the longest form of %s', (_what, message) => {
    expect(() => scanMessage(packed(message))).not.toThrow()
  })

  it('rejects every truncation, and every trailing byte', () => {
    const law = fc.property(anyMessage, fc.nat(255), (message, byte) => {
      const bytes = packed(message)
      for (let end = 0; end < Math.min(bytes.length, 100); end++) expectRejected(bytes.subarray(0, end))
      expectRejected(Buffer.concat([bytes, Buffer.from([byte])]))
    })
    fc.assert(law)
  })

  it('passes only what a decoder reads to its end, and fails in one way', () => {
    const law = fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      expect(isPassed(bytes) ? canBeRead(bytes) : true).toBe(true)
    })
    fc.assert(law, { numRuns: 20_000 })
  })

  it.each([
    ['nothing at all', []],
    ['an array of 2³² elements in 5 bytes (F47)', [0xdd, 0xff, 0xff, 0xff, 0xff]],
    ['an array of 65,535 elements in 3 bytes', [0xdc, 0xff, 0xff]],
    ['an array of 15 elements in one byte', [0x9f]],
    ['text of 4 GiB', [0xdb, 0xff, 0xff, 0xff, 0xff]],
    ['bytes of 4 GiB', [0xc6, 0xff, 0xff, 0xff, 0xff]],
    ['a short map', [0x81, 0x01, 0x01]],
    ['an empty map', [0x80]],
    ['a map 16', [0xde, 0x00, 0x00]],
    ['a map 32 of 2³² entries', [0xdf, 0xff, 0xff, 0xff, 0xff]],
    ['what msgpack has never used', [0xc1]],
    ['an extension of 1 byte', [0xd4, 0x01, 0x00]],
    ['an extension of 2 bytes', [0xd5, 0x01, 0x00, 0x00]],
    ['a time stamp', [0xd6, 0xff, 0x00, 0x00, 0x00, 0x00]],
    ['an extension of 8 bytes', [0xd7, 0x01, 0, 0, 0, 0, 0, 0, 0, 0]],
    ['an extension of 16 bytes', [0xd8, 0x01, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]],
    ['a record as msgpackr makes them', [0xd4, 0x72, 0x40]],
    ['an extension 8', [0xc7, 0x00, 0x01]],
    ['an extension 16', [0xc8, 0x00, 0x00, 0x01]],
    ['an extension 32', [0xc9, 0x00, 0x00, 0x00, 0x00, 0x01]],
    ['two messages', [0x01, 0x01]],
  ])('rejects %s', (_what, bytes) => {
    expectRejected(Uint8Array.from(bytes))
    expectRejected(Uint8Array.from([0x91, ...bytes]))
  })

  it('rejects what is nested a million levels deep (F47), and passes what is as deep as it may', () => {
    expectRejected(nested(1_000_000))
    expectRejected(nested(17))
    expect(() => scanMessage(nested(15))).not.toThrow()
  })

  it.each([
    ['empty arrays', () => list(Buffer.alloc(60_000, 0x90))],
    ['arrays of one', () => list(Buffer.alloc(60_000, Buffer.from([0x91, 0x00])), 30_000)],
    ['empty bytes', () => list(Buffer.alloc(60_000, Buffer.from([0xc4, 0x00])), 30_000)],
    ['short texts', () => list(Buffer.alloc(60_000, Buffer.from([0xa2, 0x78, 0x79])), 20_000)],
    ['empty texts', () => list(Buffer.alloc(60_000, 0xa0))],
  ])('rejects a message of nothing but %s, that would take much memory', (_what, build) => {
    expectRejected(build())
  })
})

describe('a hostile frame', () => {
  const MIB = 1_048_576
  const zeros = (bytes: number): Buffer => list(Buffer.alloc(bytes))

  it.each([
    ['5 bytes that claim 2³² elements', Buffer.from([0xdd, 0xff, 0xff, 0xff, 0xff])],
    ['5 bytes that claim 4 GiB of text', Buffer.from([0xdb, 0xff, 0xff, 0xff, 0xff])],
    ['a claim of one element too many', zeros(MIB).subarray(0, -1)],
    ['a million levels', nested(1_000_000)],
    ['a million empty arrays', list(Buffer.alloc(MIB, 0x90))],
    ['a million empty texts', list(Buffer.alloc(MIB, 0xa0))],
    ['a million elements and a byte', Buffer.concat([zeros(MIB), Buffer.alloc(1)])],
    ['a million elements, of which the last is not ours', zeros(MIB).fill(0xc1, MIB)],
    ['a million elements', zeros(MIB)],
  ])('costs no more than 8 bytes for each of its own: %s', (_what, body) => {
    const frame = sealed(packed([1, HEADER_ROW, 'probe']), body)
    const reject = (): void => expect(() => codec.decodeQuestion(frame).body()).toThrow(MalformedMessageError)
    reject()
    // Twice, and the lesser: what the engine does beside must not count.
    const costs = [allocatedBy(reject), allocatedBy(reject)]
    expect(Math.min(...costs)).toBeLessThan(8 * frame.length + 512 * 1024)
  })
})

function nested(levels: number): Buffer {
  return Buffer.concat([Buffer.alloc(levels, 0x91), Buffer.from([0xc0])])
}

/** An array of these elements, of which each takes a byte unless it is said how many there are. */
function list(elements: Buffer, count: number = elements.length): Buffer {
  const head = Buffer.from([0xdd, 0, 0, 0, 0])
  head.writeUInt32BE(count, 1)
  return Buffer.concat([head, elements])
}

function isPassed(bytes: Uint8Array): boolean {
  try {
    scanMessage(bytes)
    return true
  } catch (error) {
    expect(error).toBeInstanceOf(MalformedMessageError)
    return false
  }
}

function canBeRead(bytes: Uint8Array): boolean {
  unpack(bytes)
  return true
}

function expectRejected(bytes: Uint8Array): void {
  expect(() => scanMessage(bytes)).toThrow(MalformedMessageError)
}

/** Bytes that are taken until somebody collects them. */
function allocatedBy(run: () => void): number {
  collectGarbage()
  const before = memoryTaken()
  run()
  return memoryTaken() - before
}

function memoryTaken(): number {
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

function collectGarbage(): void {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
}
