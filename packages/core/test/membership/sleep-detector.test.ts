import { describe, expect, it } from 'vitest'
import { SleepDetector } from '../../src/index.ts'

describe('a sleep', () => {
  it('is a tick that comes later than half a time-out', () => {
    const detector = new SleepDetector(500)
    detector.expect(1_000)
    expect(detector.slept(1_250)).toBe(0)
    expect(detector.slept(1_251)).toBe(251)
  })

  it('is told once, to whoever asks first', () => {
    const detector = new SleepDetector(500)
    detector.expect(1_000)
    expect(detector.slept(6_000)).toBe(5_000)
    expect(detector.slept(6_001)).toBe(0)
    detector.expect(6_201)
    expect(detector.slept(6_201)).toBe(0)
  })

  it('cannot be known before there was a tick to expect', () => {
    expect(new SleepDetector(500).slept(10 ** 9)).toBe(0)
  })
})
