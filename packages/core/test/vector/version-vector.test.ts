import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { areSeqRanges, SEQ_MAX, vectorText, VersionVector, type Dot, type VectorRows } from '../../src/index.ts'

const WRITERS = ['a', 'b', 'c'].map((digit) => digit.repeat(16)) as [string, ...string[]]
const SEQS = 14
const anyDot: fc.Arbitrary<Dot> = fc.record({
  writer: fc.constantFrom(...WRITERS),
  seq: fc.integer({ min: 1, max: SEQS }),
})
const anyDots = fc.array(anyDot, { maxLength: 40 })
const everyDot: readonly Dot[] = WRITERS.flatMap((writer) =>
  Array.from({ length: SEQS + 2 }, (_, index) => ({ writer, seq: index + 1 })),
)

/** The model: a plain set of dots. */
class DotSet {
  readonly #dots = new Set<string>()

  constructor(dots: Iterable<Dot>) {
    for (const { writer, seq } of dots) this.#dots.add(`${writer}/${seq}`)
  }

  has({ writer, seq }: Dot): boolean {
    return this.#dots.has(`${writer}/${seq}`)
  }

  get text(): string {
    return [...this.#dots].toSorted().join(' ')
  }
}

function vectorOf(dots: Iterable<Dot>): VersionVector {
  const vector = new VersionVector()
  for (const dot of dots) vector.add(dot)
  return vector
}

function coveredBy(vector: VersionVector): Dot[] {
  return everyDot.filter((dot) => vector.covers(dot))
}

describe('a version vector', () => {
  it('counts its dots, and those that another one has and it has not', () => {
    const law = fc.property(anyDots, anyDots, fc.subarray(WRITERS), (mine, theirs, folded) => {
      const [a, b] = [vectorOf(mine), vectorOf(theirs)]
      expect(a.size).toBe(coveredBy(a).length)
      const lacked = coveredBy(b).filter((dot) => !a.covers(dot) && !folded.includes(dot.writer))
      expect(a.lacks(b, new Set(folded))).toBe(lacked.length)
      expect(a.lacks(b, new Set(folded)) === 0).toBe(a.containsAll(b, new Set(folded)))
    })
    fc.assert(law)
  })

  it('covers what was added, in any order and however often, and nothing else', () => {
    const law = fc.property(anyDots, (dots) => {
      const vector = vectorOf(dots)
      const model = new DotSet(dots)
      for (const dot of everyDot) expect(vector.covers(dot)).toBe(model.has(dot))
      expect(vector.isEmpty).toBe(dots.length === 0)
    })
    fc.assert(law)
  })

  it('has equal rows and text exactly when it covers the same', () => {
    const law = fc.property(anyDots, anyDots, (a, b) => {
      const isSame = new DotSet(a).text === new DotSet(b).text
      expect(vectorText(vectorOf(a).rows()) === vectorText(vectorOf(b).rows())).toBe(isSame)
      const shuffled = a.toSorted((one, other) => other.seq - one.seq)
      expect(vectorOf(shuffled).rows()).toEqual(vectorOf(a).rows())
    })
    fc.assert(law)
  })

  it('has rows with writers ascending and ranges that keep their invariant', () => {
    const law = fc.property(anyDots, anyDots, (a, b) => {
      const vector = vectorOf(a)
      vector.adopt(vectorOf(b).rows())
      const rows = vector.rows()
      expect(rows.map(([writer]) => writer)).toEqual([...new Set([...a, ...b].map(({ writer }) => writer))].toSorted())
      for (const [, ranges] of rows) expect(areSeqRanges(ranges)).toBe(true)
    })
    fc.assert(law)
  })

  it('comes back from its rows, and shares nothing with them', () => {
    const law = fc.property(anyDots, anyDot, (dots, added) => {
      const rows = vectorOf(dots).rows()
      const before = vectorText(rows)
      const copy = VersionVector.of(rows)
      expect(copy.rows()).toEqual(rows)
      copy.add(added)
      copy.adopt(vectorOf(everyDot).rows())
      expect(vectorText(rows)).toBe(before)
      expect(VersionVector.of(rows).rows()).toEqual(rows)
    })
    fc.assert(law)
  })

  it('adopts the union, and leaves what it adopted from alone', () => {
    const law = fc.property(anyDots, anyDots, (a, b) => {
      const vector = vectorOf(a)
      const theirs = vectorOf(b).rows()
      const before = vectorText(theirs)
      vector.adopt(theirs)
      expect(vector.rows()).toEqual(vectorOf([...a, ...b]).rows())
      for (const dot of everyDot) vector.add(dot)
      expect(vectorText(theirs)).toBe(before)
    })
    fc.assert(law)
  })

  it('contains another one when it covers all of its dots', () => {
    const law = fc.property(anyDots, anyDots, (a, b) => {
      const vector = vectorOf(a)
      const theirs = vectorOf(b)
      const model = new DotSet(a)
      expect(vector.contains(theirs.rows())).toBe(coveredBy(theirs).every((dot) => model.has(dot)))
      vector.adopt(theirs.rows())
      expect(vector.contains(theirs.rows())).toBe(true)
    })
    fc.assert(law)
  })

  it('knows up to where it has no gap', () => {
    const law = fc.property(anyDots, (dots) => {
      const vector = vectorOf(dots)
      const model = new DotSet(dots)
      for (const writer of WRITERS) {
        let expected = 0
        while (model.has({ writer, seq: expected + 1 })) expected++
        expect(vector.contiguous(writer)).toBe(expected)
      }
    })
    fc.assert(law)
  })

  it('holds a long row of writes in one range, up to the last number there is', () => {
    const [writer] = WRITERS
    const vector = new VersionVector()
    for (let seq = 1; seq <= 1_000; seq++) vector.add({ writer, seq })
    expect(vector.rows()).toEqual([[writer, [1, 1_000]]])
    vector.add({ writer, seq: SEQ_MAX })
    expect(vector.covers({ writer, seq: SEQ_MAX })).toBe(true)
    expect(vector.covers({ writer, seq: SEQ_MAX - 1 })).toBe(false)
    vector.adopt([[writer, [1_001, SEQ_MAX - 1]]])
    expect(vector.rows()).toEqual([[writer, [1, SEQ_MAX]]])
    expect(vector.contiguous(writer)).toBe(SEQ_MAX)
  })

  it('closes a gap that a range from elsewhere bridges', () => {
    const [writer] = WRITERS
    const vector = VersionVector.of([[writer, [1, 2, 5, 6, 9, 9, 20, 30]]])
    vector.adopt([[writer, [4, 10]]])
    expect(vector.rows()).toEqual([[writer, [1, 2, 4, 10, 20, 30]]])
    vector.add({ writer, seq: 3 })
    expect(vector.rows()).toEqual([[writer, [1, 10, 20, 30]]])
  })
})

describe('ranges from outside', () => {
  it.each<{ ranges: readonly number[]; valid: boolean }>([
    { ranges: [1, 1], valid: true },
    { ranges: [1, 4, 6, 6], valid: true },
    { ranges: [SEQ_MAX, SEQ_MAX], valid: true },
    { ranges: [], valid: false },
    { ranges: [1], valid: false },
    { ranges: [0, 1], valid: false },
    { ranges: [-1, 1], valid: false },
    { ranges: [2, 1], valid: false },
    { ranges: [1, 4, 5, 6], valid: false },
    { ranges: [1, 4, 4, 6], valid: false },
    { ranges: [5, 6, 1, 2], valid: false },
    { ranges: [1, 2, 4], valid: false },
  ])('$ranges are valid: $valid', ({ ranges, valid }) => {
    expect(areSeqRanges(ranges)).toBe(valid)
  })

  it('are valid only when a vector would have written them so', () => {
    const law = fc.property(fc.array(fc.nat(9), { maxLength: 8 }), (ranges) => {
      const [writer] = WRITERS
      const rows: VectorRows = [[writer, ranges]]
      if (!areSeqRanges(ranges)) return
      expect(vectorOf(coveredBy(VersionVector.of(rows))).rows()).toEqual(rows)
    })
    fc.assert(law, { numRuns: 2_000 })
  })
})
