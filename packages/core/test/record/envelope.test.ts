import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  addressOf,
  bytesOf,
  CONTENT_TYPE_BYTES_MAX,
  COUNTER_MAX,
  ENVELOPE_HEADER_BYTES,
  KEY_BYTES_MAX,
  openEnvelope,
  readUint16,
  readUint48,
  sealEntry,
  SEQ_MAX,
  WALL_MS_MAX,
  writeByteString,
  writeUint16,
  writeUint48,
} from '../../src/index.ts'
import { anyFields, entryWith, fieldsOf, sha256 } from './any-entry.ts'

/** A copy with another body and the checksum that goes with it: what a bug, and not a disk, would make. */
function forged(envelope: Uint8Array, change: (body: DataView) => void, bytes: number = envelope.length): Uint8Array {
  const copy = new Uint8Array(bytes)
  copy.set(envelope.subarray(0, bytes))
  change(new DataView(copy.buffer))
  writeByteString(copy, 0, sha256.sha256(copy.subarray(32)))
  return copy
}

describe('the envelope', () => {
  it('gives back every field', () => {
    const law = fc.property(anyFields, (fields) => {
      const sealed = sealEntry(fields, sha256)
      const opened = openEnvelope(sealed.envelope, sha256)
      expect(fieldsOf(opened)).toEqual(fieldsOf(sealed))
      expect(fieldsOf(opened)).toMatchObject(fields)
      expect(sealEntry(opened ?? fields, sha256).envelope).toEqual(sealed.envelope)
    })
    fc.assert(law)
  })

  it('rejects every flipped bit', () => {
    const { envelope } = entryWith({ value: bytesOf('abc') })
    const accepted: number[] = []
    for (let bit = 0; bit < envelope.length * 8; bit++) {
      const flipped = envelope.slice()
      flipped[bit >>> 3] = (flipped[bit >>> 3] ?? 0) ^ (1 << (bit & 7))
      if (openEnvelope(flipped, sha256) !== undefined) accepted.push(bit)
    }
    expect(accepted).toEqual([])
  })

  it('rejects every truncation, and bytes too many', () => {
    const law = fc.property(anyFields, fc.uint8Array({ minLength: 1, maxLength: 3 }), (fields, extra) => {
      const { envelope } = sealEntry(fields, sha256)
      expect(openEnvelope(Buffer.concat([envelope, extra]), sha256)).toBeUndefined()
      for (let bytes = 0; bytes < Math.min(envelope.length, 200); bytes++)
        expect(openEnvelope(envelope.subarray(0, bytes), sha256)).toBeUndefined()
    })
    fc.assert(law, { numRuns: 20 })
  })

  it('opens nothing that is not one, and fails at nothing', () => {
    const law = fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      expect(openEnvelope(bytes, sha256)).toBeUndefined()
    })
    fc.assert(law, { numRuns: 500 })
  })

  it('opens what was never sealed only if it is what sealing would have made', () => {
    const law = fc.property(
      fc.array(fc.tuple(fc.integer({ min: 32, max: 90 }), fc.nat(255)), { maxLength: 4 }),
      (changes) => {
        const odd = forged(entryWith().envelope, (body) => {
          for (const [at, byte] of changes) body.setUint8(at, byte)
        })
        const opened = openEnvelope(odd, sha256)
        expect(opened === undefined ? odd : sealEntry(opened, sha256).envelope).toEqual(odd)
      },
    )
    fc.assert(law, { numRuns: 2_000 })
  })

  it('holds the largest of everything', () => {
    const largest = entryWith({
      address: addressOf('b'.repeat(63), 'ÿ'.repeat(KEY_BYTES_MAX)),
      version: { hlc: { wallMs: WALL_MS_MAX, counter: COUNTER_MAX }, replica: 'f'.repeat(16) },
      dot: { writer: 'f'.repeat(16), seq: SEQ_MAX },
      expiresAtMs: WALL_MS_MAX,
      contentType: 'x'.repeat(CONTENT_TYPE_BYTES_MAX),
      value: new Uint8Array(70_000).fill(255),
    })
    expect(fieldsOf(openEnvelope(largest.envelope, sha256))).toEqual(fieldsOf(largest))
    const smallest = entryWith({
      address: addressOf('b', '\0'),
      version: { hlc: { wallMs: 0, counter: 0 }, replica: '0'.repeat(16) },
      dot: { writer: '0'.repeat(16), seq: 1 },
      contentType: '',
      value: undefined,
    })
    expect(smallest.envelope).toHaveLength(ENVELOPE_HEADER_BYTES + 3)
    expect(fieldsOf(openEnvelope(smallest.envelope, sha256))).toEqual(fieldsOf(smallest))
  })

  it('tells an empty value from a tombstone', () => {
    const empty = entryWith({ value: new Uint8Array(0) })
    const tombstone = entryWith({ value: undefined })
    expect(openEnvelope(empty.envelope, sha256)?.value).toEqual(new Uint8Array(0))
    expect(openEnvelope(tombstone.envelope, sha256)?.value).toBeUndefined()
    expect(empty.hash).not.toBe(tombstone.hash)
  })

  it('keeps its own copy of the value', () => {
    const buffer = bytesOf('value')
    const sealed = entryWith({ value: buffer })
    buffer.fill(0)
    expect(sealed.value).toEqual(bytesOf('value'))
    expect(fieldsOf(openEnvelope(sealed.envelope, sha256))).toEqual(fieldsOf(sealed))
  })

  it('is the same to the byte for a write without a name as before there were names', () => {
    const { envelope, hash } = entryWith()
    expect(envelope[32]).toBe(1)
    expect(Buffer.from(hash, 'latin1').toString('hex')).toBe(
      'd3445423882d8243f1f6df01aeedffa29be4bc905a95aeca810a889d7d2e8bf7',
    )
  })

  it('opens wherever it lies in a larger buffer', () => {
    const sealed = entryWith()
    const larger = Buffer.concat([new Uint8Array(13), sealed.envelope, new Uint8Array(7)])
    const opened = openEnvelope(larger.subarray(13, 13 + sealed.envelope.length), sha256)
    expect({ ...fieldsOf(opened), envelope: sealed.envelope, value: sealed.value }).toEqual(fieldsOf(sealed))
    expect(opened?.value).toEqual(Buffer.from('value'))
  })

  it.each<{ what: string; change: (body: DataView) => void; bytes?: number }>([
    { what: 'another format', change: (body) => body.setUint8(32, 3) },
    { what: 'another kind', change: (body) => body.setUint8(33, 2) },
    { what: 'a tombstone with a value', change: (body) => body.setUint8(33, 1) },
    { what: 'the number 0', change: (body) => body.setUint8(63, 0) },
    { what: 'an address beyond the end', change: (body) => body.setUint16(70, 60_000) },
    { what: 'no address', change: (body) => body.setUint16(70, 0) },
    { what: 'an address without its key', change: (body) => body.setUint16(70, 7) },
    { what: 'a content type beyond the end', change: (body) => body.setUint16(72, 200) },
    { what: 'a content type that is too long', change: (body) => body.setUint16(72, 256), bytes: 600 },
    { what: 'a bucket in upper case', change: (body) => body.setUint8(74, 0x54) },
    { what: 'a header alone', change: () => {}, bytes: ENVELOPE_HEADER_BYTES },
    { what: 'a format with a name and no room for one', change: (body) => body.setUint8(32, 2), bytes: 90 },
  ])('rejects $what, though the checksum is right', ({ change, bytes }) => {
    const { envelope } = entryWith()
    expect(
      openEnvelope(
        forged(envelope, () => {}),
        sha256,
      ),
    ).toBeDefined()
    expect(openEnvelope(forged(envelope, change, bytes), sha256)).toBeUndefined()
  })

  it('writes numbers of 16 and 48 bits as others read them', () => {
    const law = fc.property(fc.integer({ min: 0, max: 2 ** 48 - 1 }), fc.nat(65_535), fc.nat(3), (wide, narrow, at) => {
      const bytes = new Uint8Array(12)
      writeUint48(bytes, at, wide)
      writeUint16(bytes, at + 6, narrow)
      const buffer = Buffer.from(bytes)
      expect([buffer.readUIntBE(at, 6), buffer.readUInt16BE(at + 6)]).toEqual([wide, narrow])
      expect([readUint48(bytes, at), readUint16(bytes, at + 6)]).toEqual([wide, narrow])
    })
    fc.assert(law)
  })
})
