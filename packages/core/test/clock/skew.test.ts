import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { clockFault, sharperSample, skewAt, skewSample, type Skew, type SkewSample } from '../../src/index.ts'

const OUR_WALL_MS = 1_790_000_000_000
const anyOffsetMs = fc.integer({ min: -(10 ** 9), max: 10 ** 9 })
const anyDelayMs = fc.oneof(fc.double({ min: 0, max: 2, noNaN: true }), fc.double({ min: 0, max: 5_000, noNaN: true }))

/** A question that takes so long on its way, and its answer on the way back; the clocks run apart by `wander` meanwhile. */
const anyExchange = fc.record({
  pauseMs: fc.double({ min: 0, max: 60_000, noNaN: true }),
  outMs: anyDelayMs,
  backMs: anyDelayMs,
  wander: fc.double({ min: -500e-6, max: 500e-6, noNaN: true }),
})

describe('the skew of another clock', () => {
  it('is never further from the truth than its error says, however unequal the ways and however the clocks wander', () => {
    const law = fc.property(
      anyOffsetMs,
      fc.array(anyExchange, { minLength: 1, maxLength: 20 }),
      (offsetMs, exchanges) => {
        let nowMs = 0
        let truthMs = offsetMs
        let sample: SkewSample | undefined
        const pass = (ms: number, wander: number): void => {
          nowMs += ms
          truthMs += ms * wander
        }
        for (const { pauseMs, outMs, backMs, wander } of exchanges) {
          pass(pauseMs, wander)
          const sentMs = nowMs
          pass(outMs, wander)
          const theirWallMs = Math.round(OUR_WALL_MS + nowMs + truthMs)
          pass(backMs, wander)
          sample = sharperSample(sample, skewSample(sentMs, nowMs, theirWallMs))
          const { skewMs, errorMs } = skewAt(sample, OUR_WALL_MS + nowMs, nowMs)
          // A millisecond in so many is lost to the doubles.
          expect(Math.abs(skewMs - truthMs)).toBeLessThanOrEqual(errorMs + 0.01)
        }
      },
    )
    // A long way back, on which the clocks run apart as fast as they may.
    const longWayBack = { pauseMs: 0, outMs: 0, backMs: 2_020.033935546875, wander: 0.0004999311704207327 }
    fc.assert(law, { numRuns: 300, examples: [[0, [longWayBack]]] })
  })

  it('keeps the quickest answer until that has aged', () => {
    const quick = skewSample(0, 2, 1_001)
    const slow = skewSample(100, 300, 1_200)
    expect(sharperSample(quick, slow)).toBe(quick)
    expect(sharperSample(slow, skewSample(400, 402, 1_401))).not.toBe(slow)
    const later = skewSample(10 ** 6, 10 ** 6 + 200, 1_001_100)
    expect(sharperSample(quick, later)).toBe(later)
  })

  it('follows at once when either clock is set', () => {
    const law = fc.property(anyOffsetMs, anyOffsetMs, (beforeMs, afterMs) => {
      fc.pre(Math.abs(beforeMs - afterMs) > 10)
      const sample = sharperSample(skewSample(0, 2, beforeMs), skewSample(10, 20, afterMs))
      if (Math.abs(beforeMs + 14 - afterMs) > 10) expect(sample.atMs).toBe(20)
    })
    fc.assert(law)
    // Ours jumps by an hour: no sample is needed to know it.
    const sample = skewSample(0, 2, OUR_WALL_MS)
    expect(skewAt(sample, OUR_WALL_MS + 2, 2).skewMs).toBeCloseTo(-1)
    expect(skewAt(sample, OUR_WALL_MS + 2 - 3_600_000, 2).skewMs).toBeCloseTo(3_599_999)
  })
})

describe('a suspect clock', () => {
  const near: Skew = { skewMs: 3_000, errorMs: 5 }
  const ahead: Skew = { skewMs: 25_000, errorMs: 5 }
  const behind: Skew = { skewMs: -25_000, errorMs: 5 }
  const judge = (skews: readonly Skew[], parkedFrom: readonly string[] = [], others = skews.length) =>
    clockFault({ others, skews, parkedFrom: new Set(parkedFrom), driftMs: 10_000 })?.kind

  it('is that of the one against whom most others stand', () => {
    expect(judge([ahead, ahead])).toBe('behind')
    expect(judge([behind, behind])).toBe('ahead')
    expect(judge([ahead, ahead, near])).toBe('behind')
  })

  it('is not ours when one other is wrong, in whichever way', () => {
    expect(judge([ahead, near])).toBeUndefined()
    expect(judge([behind, near])).toBeUndefined()
    expect(judge([ahead, behind])).toBeUndefined()
    expect(judge([near, near])).toBeUndefined()
  })

  it('is of two that of the one behind, which cannot take in what the other writes', () => {
    expect(judge([ahead])).toBe('behind')
    expect(judge([behind])).toBeUndefined()
  })

  it('is none while the error is larger than what is beyond the drift', () => {
    expect(judge([{ skewMs: 10_100, errorMs: 200 }])).toBeUndefined()
  })

  it('is told by what is parked of several others, and not of one', () => {
    expect(judge([], ['a', 'b'], 2)).toBe('behind')
    expect(judge([], ['a'], 2)).toBeUndefined()
    expect(judge([], ['a', 'b'], 4)).toBeUndefined()
    expect(judge([], [], 0)).toBeUndefined()
  })

  it('is never found without more than half of the others saying so', () => {
    const anySkew = fc.record({ skewMs: fc.integer({ min: -60_000, max: 60_000 }), errorMs: fc.nat(1_000) })
    const law = fc.property(fc.array(anySkew, { maxLength: 9 }), (skews) => {
      const fault = clockFault({ others: skews.length, skews, parkedFrom: new Set(), driftMs: 10_000 })
      if (fault === undefined) return
      expect(fault.witnesses).toBeGreaterThan(skews.length / 2)
      expect(fault.byMs).toBeGreaterThan(10_000)
    })
    fc.assert(law)
  })
})
