import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  compareHlc,
  COUNTER_MAX,
  DRIFT_MS_MAX,
  HLC_ZERO,
  HybridClock,
  laterHlc,
  RESERVE_AHEAD_MS,
  successorOf,
  type Hlc,
} from '../../src/index.ts'

/** Near enough to each other to collide, with jumps of days in both directions between them. */
const anyWallMs = fc.oneof(fc.integer({ min: 1_000, max: 1_010 }), fc.integer({ min: 0, max: 10 ** 12 }))
const anyReading = fc.record({ wallMs: anyWallMs, counter: fc.constantFrom(0, 1, COUNTER_MAX - 1, COUNTER_MAX) })

const anyStep: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('tick'), wallMs: anyWallMs, floor: fc.option(anyReading, { nil: HLC_ZERO }) }),
  fc.record({ kind: fc.constant('witness'), hlc: anyReading }),
  fc.record({ kind: fc.constant('commit'), wallMs: anyWallMs }),
  fc.record({ kind: fc.constant('crash') }),
)

type Step =
  | { readonly kind: 'tick'; readonly wallMs: number; readonly floor: Hlc }
  | { readonly kind: 'witness'; readonly hlc: Hlc }
  | { readonly kind: 'commit'; readonly wallMs: number }
  | { readonly kind: 'crash' }

/** A replica, as far as its clock goes: what is not committed when it crashes has been seen by nobody. */
class Replica {
  disk: Hlc = HLC_ZERO
  committed: Hlc = HLC_ZERO
  clock = new HybridClock()

  /** Returns the least reading that the clock may show afterwards. */
  take(step: Step): Hlc {
    const before = this.clock.now
    switch (step.kind) {
      case 'tick':
        this.clock.tick(step.wallMs, step.floor)
        return laterHlc(successorOf(laterHlc(before, step.floor)), { wallMs: step.wallMs, counter: 0 })
      case 'witness':
        this.clock.witness(step.hlc)
        return laterHlc(before, step.hlc)
      case 'commit':
        this.disk = this.clock.reserveFor(step.wallMs) ?? this.disk
        this.clock.reserved(this.disk)
        this.committed = before
        return before
      case 'crash':
        this.clock = new HybridClock(this.disk)
        return this.committed
    }
  }
}

describe('the hybrid clock', () => {
  it('never goes back, whatever the wall clock does and whenever it crashes', () => {
    const law = fc.property(fc.array(anyStep, { maxLength: 60 }), (steps) => {
      const replica = new Replica()
      for (const step of steps) {
        const least = replica.take(step)
        expect(compareHlc(replica.clock.now, least)).toBeGreaterThanOrEqual(0)
        expect(compareHlc(replica.committed, replica.disk)).toBeLessThanOrEqual(0)
      }
    })
    fc.assert(law, { numRuns: 300 })
  })

  it('gives out what it shows', () => {
    const law = fc.property(anyReading, anyWallMs, anyReading, (reserved, wallMs, floor) => {
      const clock = new HybridClock(reserved)
      expect(clock.tick(wallMs, floor)).toEqual(clock.now)
    })
    fc.assert(law)
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
    const reserve = clock.reserveFor(5_000)
    expect(reserve).toEqual({ wallMs: 5_000 + RESERVE_AHEAD_MS, counter: 0 })
    clock.reserved(reserve ?? HLC_ZERO)
    clock.tick(5_000 + RESERVE_AHEAD_MS)
    expect(clock.reserveFor(5_000 + RESERVE_AHEAD_MS)).toBeUndefined()
    clock.tick(5_000 + RESERVE_AHEAD_MS)
    expect(clock.reserveFor(5_000 + RESERVE_AHEAD_MS)).toEqual({ wallMs: 5_000 + 2 * RESERVE_AHEAD_MS, counter: 0 })
  })

  it('is never pushed further ahead by a loop of crashes, and gives out nothing twice', () => {
    const anyRun = fc.record({
      passedMs: fc.integer({ min: 0, max: 50 }),
      ticks: fc.integer({ min: 0, max: 3 }),
      committed: fc.boolean(),
    })
    const law = fc.property(fc.array(anyRun, { minLength: 1, maxLength: 200 }), (runs) => {
      const replica = new Replica()
      const given: Hlc[] = []
      let wallMs = 1_000_000
      for (const { passedMs, ticks, committed } of runs) {
        wallMs += passedMs
        for (let tick = 0; tick < ticks; tick++) replica.take({ kind: 'tick', wallMs, floor: HLC_ZERO })
        if (committed) {
          // What was committed others have seen: no later run may give out anything that is not greater.
          replica.take({ kind: 'commit', wallMs })
          if (ticks > 0) given.push(replica.clock.now)
        }
        replica.take({ kind: 'crash' })
        expect(replica.clock.now.wallMs).toBeLessThanOrEqual(wallMs + RESERVE_AHEAD_MS)
      }
      for (const [index, each] of given.entries())
        if (index > 0) expect(compareHlc(each, given[index - 1] ?? HLC_ZERO)).toBeGreaterThan(0)
    })
    fc.assert(law, { numRuns: 300 })
    expect(RESERVE_AHEAD_MS).toBeLessThan(DRIFT_MS_MAX)
  })

  it('asks for the same reserve again when the batch with it failed', () => {
    const clock = new HybridClock()
    clock.tick(5_000)
    expect(clock.reserveFor(5_000)).toEqual(clock.reserveFor(5_000))
  })
})
