import { describe, expect, it } from 'vitest'
import { EPOCH_MS, NodeClock } from '../src/node-clock.ts'

describe('the clock of a machine', () => {
  it('is off, gains, jumps, stands still and is set right, and its monotonic side knows nothing of it', () => {
    let trueMs = 0
    const clock = new NodeClock(() => trueMs, { offsetMs: 100, driftPpm: 1_000 })
    expect(clock.wallMs()).toBe(EPOCH_MS + 100)
    trueMs = 10_000
    expect(clock.wallMs()).toBe(EPOCH_MS + 10_110)
    clock.step(-3_600_000)
    expect(clock.wallMs()).toBe(EPOCH_MS + 10_110 - 3_600_000)
    clock.freeze()
    trueMs = 20_000
    expect(clock.wallMs()).toBe(EPOCH_MS + 10_110 - 3_600_000)
    clock.correct()
    trueMs = 30_000
    expect(clock.wallMs()).toBe(EPOCH_MS + 30_000)
    expect(clock.monotonicMs()).toBe(30_000)
  })
})
