import { assert as assertProperty, integer, property } from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SeededRandom } from '../src/seeded-random.ts'

function drawn(random: SeededRandom, count = 20): number[] {
  return Array.from({ length: count }, () => random.next())
}

describe('random numbers from a seed', () => {
  it('are the same for the same seed, and others for another one', () => {
    assertProperty(
      property(integer(), integer(), (a, b) => {
        expect(drawn(new SeededRandom(a))).toEqual(drawn(new SeededRandom(a)))
        if (a !== b) expect(drawn(new SeededRandom(a))).not.toEqual(drawn(new SeededRandom(b)))
      }),
    )
  })

  it('come from streams that do not shift each other', () => {
    const quiet = new SeededRandom(1)
    const busy = new SeededRandom(1)
    drawn(busy, 7)
    drawn(busy.stream('disk'), 7)
    expect(drawn(busy.stream('network', 'n1>n2'))).toEqual(drawn(quiet.stream('network', 'n1>n2')))
    expect(drawn(busy.stream('network', 'n1>n2'))).not.toEqual(drawn(busy.stream('network', 'n2>n1')))
  })

  it('are spread evenly', () => {
    const random = new SeededRandom(3)
    const buckets = Array.from({ length: 16 }, () => 0)
    const draws = 160_000
    for (let draw = 0; draw < draws; draw++) {
      const bucket = Math.floor(random.next() * 16)
      buckets[bucket] = (buckets[bucket] ?? 0) + 1
    }
    // Chi-squared with 15 degrees of freedom: above 37.7 once in a thousand seeds, and this is one seed.
    const expected = draws / 16
    expect(buckets.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0)).toBeLessThan(37.7)
  })

  it('make ids of the asked length, and no two alike', () => {
    const random = new SeededRandom(4)
    const ids = Array.from({ length: 1_000 }, () => random.hex(8))
    for (const id of ids) expect(id).toMatch(/^[0-9a-f]{16}$/)
    expect(new Set(ids).size).toBe(1_000)
    expect(random.hex(16)).toMatch(/^[0-9a-f]{32}$/)
  })

  it('have a median and a long tail', () => {
    const random = new SeededRandom(5)
    const times = Array.from({ length: 10_001 }, () => random.longTail(10)).toSorted((a, b) => a - b)
    expect(times[5_000]).toBeCloseTo(10, 0)
    expect(times[9_900] ?? 0).toBeGreaterThan(25)
    expect(times[0] ?? 0).toBeGreaterThan(0)
  })
})
