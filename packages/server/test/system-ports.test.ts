import { createHash } from 'node:crypto'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { systemClock, systemHash, systemRandom, systemTimers } from '../src/index.ts'

const DAY_MS = 86_400_000

afterEach(() => {
  vi.useRealTimers()
})

describe('the timers', () => {
  it.each([0, 10, DAY_MS, 24 * DAY_MS, 25 * DAY_MS, 100 * DAY_MS])('wait for %i ms, and not less', (delayMs) => {
    vi.useFakeTimers()
    let runs = 0
    systemTimers.after(delayMs, () => runs++)
    vi.advanceTimersByTime(Math.max(0, delayMs - 1))
    expect(runs).toBe(delayMs === 0 ? 1 : 0)
    vi.advanceTimersByTime(2)
    expect(runs).toBe(1)
    vi.advanceTimersByTime(200 * DAY_MS)
    expect(runs).toBe(1)
  })

  it('can be cancelled at any time', () => {
    vi.useFakeTimers()
    let runs = 0
    const short = systemTimers.after(10, () => runs++)
    const long = systemTimers.after(60 * DAY_MS, () => runs++)
    short.cancel()
    vi.advanceTimersByTime(30 * DAY_MS)
    long.cancel()
    vi.advanceTimersByTime(60 * DAY_MS)
    expect(runs).toBe(0)
  })
})

describe('the other ports', () => {
  it('are those of the system', () => {
    expect(Math.abs(systemClock.wallMs() - Date.now())).toBeLessThan(1_000)
    const before = systemClock.monotonicMs()
    expect(systemClock.monotonicMs()).toBeGreaterThanOrEqual(before)
    const bytes = Buffer.from('grapevine')
    expect(systemHash.sha256(bytes)).toBe(createHash('sha256').update(bytes).digest('binary'))
  })

  it('draw numbers from 0 to 1, evenly, and identifiers', () => {
    const drawn = Array.from({ length: 10_000 }, () => systemRandom.next())
    expect(drawn.every((x) => x >= 0 && x < 1)).toBe(true)
    const mean = drawn.reduce((sum, x) => sum + x, 0) / drawn.length
    expect(Math.abs(mean - 0.5)).toBeLessThan(0.05)
    expect(systemRandom.hex(8)).toMatch(/^[0-9a-f]{16}$/)
  })
})
