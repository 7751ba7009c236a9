import { describe, expect, it } from 'vitest'
import { diceOf } from '../../src/measures/dice.ts'

const THROWS = 60_000

describe('dice', () => {
  it('fall alike for the same seed and stream, and not for another of either', () => {
    const throwsOf = (seed: number, stream: string): number[] => {
      const dice = diceOf(seed, stream)
      return Array.from({ length: 5 }, () => dice.next())
    }
    expect(throwsOf(1, 'a')).toEqual(throwsOf(1, 'a'))
    expect(throwsOf(1, 'a')).not.toEqual(throwsOf(2, 'a'))
    expect(throwsOf(1, 'a')).not.toEqual(throwsOf(1, 'b'))
  })

  it('are fair', () => {
    const counts = Array.from({ length: 6 }, () => 0)
    const dice = diceOf(1, 'fair')
    for (let count = 0; count < THROWS; count++) {
      const side = dice.below(6)
      counts[side] = (counts[side] ?? 0) + 1
    }
    // Chi squared with five degrees of freedom is above 20.5 once in a thousand.
    const expected = THROWS / 6
    const chiSquared = counts.reduce((sum, seen) => sum + (seen - expected) ** 2 / expected, 0)
    expect(chiSquared).toBeLessThan(20.5)
  })

  it('are independent from one seed to the next', () => {
    const first = Array.from({ length: 2_000 }, (_, seed) => diceOf(seed, 'seeds').next())
    const mean = first.reduce((sum, share) => sum + share, 0) / first.length
    const covariance =
      first.slice(1).reduce((sum, share, index) => sum + (share - mean) * ((first[index] ?? 0) - mean), 0) /
      first.length
    expect(Math.abs(mean - 0.5)).toBeLessThan(0.03)
    expect(Math.abs(covariance * 12)).toBeLessThan(0.1)
  })
})
