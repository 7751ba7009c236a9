import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  compareHlc,
  COUNTER_MAX,
  HLC_ZERO,
  hlcText,
  laterHlc,
  parseHlc,
  successorOf,
  WALL_MS_MAX,
  type Hlc,
} from '../../src/index.ts'
import { anyHlc } from '../record/any-entry.ts'

const LAST: Hlc = { wallMs: WALL_MS_MAX, counter: COUNTER_MAX }

describe('a hybrid logical clock reading', () => {
  it('is ordered totally', () => {
    const law = fc.property(anyHlc, anyHlc, anyHlc, (a, b, c) => {
      expect(Math.sign(compareHlc(a, b)) + Math.sign(compareHlc(b, a))).toBe(0)
      expect(compareHlc(a, b) === 0).toBe(a.wallMs === b.wallMs && a.counter === b.counter)
      const [low, middle, high] = [a, b, c].toSorted(compareHlc) as [Hlc, Hlc, Hlc]
      expect(compareHlc(low, middle)).toBeLessThanOrEqual(0)
      expect(compareHlc(low, high)).toBeLessThanOrEqual(0)
    })
    fc.assert(law)
  })

  it('sorts as text as it does as a number', () => {
    const law = fc.property(anyHlc, anyHlc, (a, b) => {
      const [textOfA, textOfB] = [hlcText(a), hlcText(b)]
      expect(Math.sign(compareHlc(a, b))).toBe(textOfA < textOfB ? -1 : textOfA > textOfB ? 1 : 0)
    })
    fc.assert(law)
  })

  it('comes back from its text', () => {
    const law = fc.property(anyHlc, (hlc) => {
      expect(parseHlc(hlcText(hlc))).toEqual(hlc)
    })
    fc.assert(law)
    expect(hlcText(HLC_ZERO)).toBe('0'.repeat(16))
    expect(hlcText(LAST)).toBe('f'.repeat(16))
  })

  it.each([
    '',
    '0'.repeat(15),
    '0'.repeat(17),
    'F'.repeat(16),
    `${'0'.repeat(15)} `,
    `${'0'.repeat(16)}\n`,
    '-'.repeat(16),
  ])('is not read from %j', (text) => {
    expect(parseHlc(text)).toBeUndefined()
  })

  it('has a successor that is later, with nothing between', () => {
    const law = fc.property(
      anyHlc.filter((hlc) => compareHlc(hlc, LAST) < 0),
      (hlc) => {
        const next = successorOf(hlc)
        expect(compareHlc(next, hlc)).toBeGreaterThan(0)
        expect(BigInt(`0x${hlcText(next)}`) - BigInt(`0x${hlcText(hlc)}`)).toBe(1n)
      },
    )
    fc.assert(law)
    expect(successorOf({ wallMs: 7, counter: COUNTER_MAX })).toEqual({ wallMs: 8, counter: 0 })
  })

  it('is one of the two of which it is the later', () => {
    const law = fc.property(anyHlc, anyHlc, (a, b) => {
      const later = laterHlc(a, b)
      expect([a, b]).toContain(later)
      expect(compareHlc(later, a)).toBeGreaterThanOrEqual(0)
      expect(compareHlc(later, b)).toBeGreaterThanOrEqual(0)
    })
    fc.assert(law)
  })
})
