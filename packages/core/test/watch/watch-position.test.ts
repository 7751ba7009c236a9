import { hash as nodeHash } from 'node:crypto'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  decodeWatchPosition,
  encodeWatchPosition,
  PARTITIONS,
  seenWrites,
  vectorOfSeen,
  VersionVector,
  WATCH_POSITION_BYTES_MAX,
  type Hash,
  type WatchPosition,
} from '../../src/index.ts'

const sha256: Hash = { sha256: (bytes) => nodeHash('sha256', bytes, 'binary') }

function hexId(index: number): string {
  return (index + 1).toString(16).padStart(16, '0')
}

/** So many writers, the first of whom has written most. */
function positionOf(writers: number, countOf: (writer: number, partition: number) => number): WatchPosition {
  return {
    cluster: '0123456789abcdef0123456789abcdef',
    frontier: { wallMs: 1_764_000_000_000, counter: 77 },
    expiriesToldMs: 1_764_000_000_123,
    folded: '\u0001\u00ff345678',
    seen: Array.from({ length: PARTITIONS }, (_, partition) => {
      const counts = Array.from(
        { length: writers },
        (__, writer) => [hexId(writer), countOf(writer, partition)] as const,
      )
      return new Map(counts.filter(([, count]) => count > 0))
    }),
  }
}

const anyPosition = fc
  .array(fc.tuple(fc.nat(40), fc.nat(PARTITIONS - 1), fc.integer({ min: 1, max: 2 ** 48 - 1 })), { maxLength: 300 })
  .map((claims) => {
    const counts = new Map(claims.map(([writer, partition, count]) => [`${writer}/${partition}`, count]))
    return positionOf(41, (writer, partition) => counts.get(`${writer}/${partition}`) ?? 0)
  })

describe('the bytes of a position', () => {
  it('say all of it as long as they are few enough, and never more', () => {
    const law = fc.property(anyPosition, (position) => {
      const bytes = encodeWatchPosition(position, sha256)
      expect(bytes.length).toBeLessThanOrEqual(WATCH_POSITION_BYTES_MAX)
      const decoded = decodeWatchPosition(bytes, sha256)
      expect(decoded).toEqual(position)
    })
    fc.assert(law, { numRuns: 50 })
  })

  it('are about one for each partition of each busy writer', () => {
    const position = positionOf(3, (writer, partition) => 20_000 + ((partition * 37 + writer * 11) % 100))
    expect(encodeWatchPosition(position, sha256).length).toBeLessThan(900)
  })

  it.each([60, 256, 800])(
    'claim less when it would be too long, and nothing that was not seen: %i writers',
    (writers) => {
      const position = positionOf(
        writers,
        (writer, partition) => 1 + ((writer * 7_919 + partition * 104_729) % 100_000),
      )
      const bytes = encodeWatchPosition(position, sha256)
      expect(bytes.length).toBeLessThanOrEqual(WATCH_POSITION_BYTES_MAX)
      const decoded = decodeWatchPosition(bytes, sha256)
      expect({ ...decoded, seen: [] }).toEqual({ ...position, seen: [] })
      const claims = (decoded?.seen ?? []).flatMap((seen, partition) =>
        [...seen].map(([writer, count]) => ({ count, seen: position.seen[partition]?.get(writer) ?? 0 })),
      )
      expect(claims.length).toBeGreaterThan(0)
      expect(claims.filter((claim) => claim.count > claim.seen)).toEqual([])
    },
  )

  it('are refused after any bit of them has changed, when they end early, and when they go on', () => {
    const bytes = encodeWatchPosition(
      positionOf(2, (writer, partition) => writer * partition),
      sha256,
    )
    for (let bit = 0; bit < bytes.length * 8; bit += 3) {
      const flipped = bytes.slice()
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      expect(decodeWatchPosition(flipped, sha256)).toBeUndefined()
    }
    for (let length = 0; length < bytes.length; length += 7)
      expect(decodeWatchPosition(bytes.subarray(0, length), sha256)).toBeUndefined()
    expect(decodeWatchPosition(new Uint8Array([...bytes, 0]), sha256)).toBeUndefined()
  })

  it('are refused when they make no sense, though the check is right', () => {
    const law = fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(10), (body, halvings) => {
      const head = encodeWatchPosition(
        positionOf(0, () => 0),
        sha256,
      ).subarray(0, 40)
      const bytes = new Uint8Array([...head, ...body, 0, 0, 0, 0])
      bytes[39] = halvings
      const check = sha256.sha256(bytes.subarray(0, bytes.length - 4))
      for (let index = 0; index < 4; index++) bytes[bytes.length - 4 + index] = check.charCodeAt(index)
      const decoded = decodeWatchPosition(bytes, sha256)
      if (decoded !== undefined)
        for (const seen of decoded.seen)
          for (const count of seen.values()) expect(count > 0 && count < 2 ** 48).toBe(true)
    })
    fc.assert(law)
  })
})

describe('what was seen of a partition', () => {
  it('goes as far as there is no gap, and so covers nothing that the vector does not', () => {
    const anyDot = fc.record({ writer: fc.constantFrom(hexId(0), hexId(1)), seq: fc.integer({ min: 1, max: 12 }) })
    const law = fc.property(fc.array(anyDot, { maxLength: 20 }), (dots) => {
      const vector = new VersionVector()
      for (const dot of dots) vector.add(dot)
      const claimed = vectorOfSeen(seenWrites(vector.rows()))
      expect(vector.contains(claimed.rows())).toBe(true)
      for (const writer of [hexId(0), hexId(1)]) expect(claimed.contiguous(writer)).toBe(vector.contiguous(writer))
    })
    fc.assert(law)
  })
})
