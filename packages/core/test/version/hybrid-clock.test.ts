import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compareHlc, COUNTER_MAX, HLC_ZERO, HybridClock, RESERVE_AHEAD_MS, type Hlc } from '../../src/index.ts'

/** Near enough to each other to collide, with jumps of days in both directions between them. */
const anyWallMs = fc.oneof(fc.integer({ min: 1_000, max: 1_010 }), fc.integer({ min: 0, max: 10 ** 12 }))
const anyReading = fc.record({ wallMs: anyWallMs, counter: fc.constantFrom(0, 1, COUNTER_MAX - 1, COUNTER_MAX) })

const anyStep = fc.oneof(
  fc.record({ kind: fc.constant('tick'), wallMs: anyWallMs, floor: fc.option(anyReading, { nil: HLC_ZERO }) }),
  fc.record({ kind: fc.constant('witness'), hlc: anyReading }),
  fc.record({ kind: fc.constant('commit') }),
  fc.record({ kind: fc.constant('crash') }),
)

describe('the hybrid clock', () => {
  it('never goes back, whatever the wall clock does and whenever it crashes', () => {
    const law = fc.property(fc.array(anyStep, { maxLength: 60 }), (steps) => {
      let disk: Hlc = HLC_ZERO
      let clock = new HybridClock(disk)
      /** Readings given out, and whether a batch with them became durable: only then has anybody seen them. */
      let last: Hlc = HLC_ZERO
      let committed: Hlc = HLC_ZERO
      for (const step of steps) {
        if (step.kind === 'tick') {
          const reading = clock.tick(step.wallMs, step.floor)
          expect(compareHlc(reading, last)).toBeGreaterThan(0)
          expect(compareHlc(reading, step.floor)).toBeGreaterThan(0)
          expect(reading.wallMs).toBeGreaterThanOrEqual(step.wallMs)
          expect(clock.now).toEqual(reading)
          last = reading
        } else if (step.kind === 'witness') {
          clock.witness(step.hlc)
          expect(compareHlc(clock.now, step.hlc)).toBeGreaterThanOrEqual(0)
          expect(compareHlc(clock.now, last)).toBeGreaterThanOrEqual(0)
          last = clock.now
        } else if (step.kind === 'commit') {
          const reserve = clock.reserveFor()
          if (reserve !== undefined) {
            disk = reserve
            clock.reserved(reserve)
          }
          expect(compareHlc(clock.now, disk)).toBeLessThanOrEqual(0)
          committed = clock.now
        } else {
          clock = new HybridClock(disk)
          expect(compareHlc(clock.now, committed)).toBeGreaterThanOrEqual(0)
          last = clock.now
        }
      }
    })
    fc.assert(law, { numRuns: 300 })
  })

  it('follows the wall clock while that goes on', () => {
    const clock = new HybridClock()
    expect(clock.tick(5_000)).toEqual({ wallMs: 5_000, counter: 0 })
    expect(clock.tick(5_000)).toEqual({ wallMs: 5_000, counter: 1 })
    expect(clock.tick(4_000)).toEqual({ wallMs: 5_000, counter: 2 })
    expect(clock.tick(5_001)).toEqual({ wallMs: 5_001, counter: 0 })
  })

  it('moves on by a millisecond when the counter is full', () => {
    const clock = new HybridClock()
    clock.witness({ wallMs: 5_000, counter: COUNTER_MAX })
    expect(clock.tick(4_000)).toEqual({ wallMs: 5_001, counter: 0 })
  })

  it('needs a new reserve only now and then', () => {
    const clock = new HybridClock()
    clock.tick(5_000)
    const reserve = clock.reserveFor()
    expect(reserve).toEqual({ wallMs: 5_000 + RESERVE_AHEAD_MS, counter: 0 })
    clock.reserved(reserve ?? HLC_ZERO)
    clock.tick(5_000 + RESERVE_AHEAD_MS)
    expect(clock.reserveFor()).toBeUndefined()
    clock.tick(5_000 + RESERVE_AHEAD_MS)
    expect(clock.reserveFor()).toEqual({ wallMs: 5_000 + 2 * RESERVE_AHEAD_MS, counter: 0 })
  })

  it('asks for the same reserve again when the batch with it failed', () => {
    const clock = new HybridClock()
    clock.tick(5_000)
    expect(clock.reserveFor()).toEqual(clock.reserveFor())
  })
})
