import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { plainPush, spread, summarize, type Spread, type SpreadOptions } from '../../src/measures/index.ts'

const anyOptions: fc.Arbitrary<SpreadOptions> = fc.record({
  nodes: fc.integer({ min: 2, max: 400 }),
  seed: fc.nat(),
  loss: fc.constantFrom(0, 0.05, 0.3),
  crashed: fc.constantFrom(0, 0.1, 0.4),
  traffic: fc.constantFrom<SpreadOptions['traffic']>('quiet', 'busy'),
})

describe('one write in a large cluster', () => {
  it('accounts for every payload: news once for each node, a duplicate, or wasted', () => {
    const law = fc.property(anyOptions, (options) => {
      expectConserved(spread(options))
    })
    fc.assert(law)
  })

  it('reaches every live node in the end, and never one less than before', () => {
    const law = fc.property(anyOptions, (options) => {
      const { reached, isComplete, live } = spread(options)
      expect(isComplete).toBe(true)
      expect(reached.at(-1)).toBe(live)
      expect(reached.toSorted((a, b) => a - b)).toEqual(reached)
    })
    fc.assert(law)
  })

  it('is decided by its seed alone', () => {
    const options: SpreadOptions = { nodes: 1_000, seed: 7, traffic: 'quiet', loss: 0.05 }
    expect(spread(options)).toEqual(spread(options))
    expect(spread(options)).not.toEqual(spread({ ...options, seed: 8 }))
  })

  it('takes one round where everybody is told', () => {
    expect(spread({ nodes: 17, seed: 1, traffic: 'quiet' })).toMatchObject({ rounds: 1, pushes: 16, duplicates: 0 })
  })

  it('gives up after as many rounds as it is told to', () => {
    const run = spread({ nodes: 1_000, seed: 1, traffic: 'quiet', roundsMax: 3 })
    expect(run).toMatchObject({ rounds: 3, isComplete: false })
  })

  it.each(['quiet', 'busy'] as const)('stays within B1 at 26,000 nodes, %s', (traffic) => {
    const { rounds, payloads, incomplete } = summarize(3, (seed) => spread({ nodes: 26_000, seed, traffic }))
    expect(rounds.max).toBeLessThanOrEqual(13)
    expect(payloads).toBeLessThanOrEqual(1.05)
    expect(incomplete).toBe(0)
  })

  it('stays within B4 with loss and crashed nodes, when it is the only write', () => {
    const run = (seed: number): Spread => spread({ nodes: 26_000, seed, traffic: 'quiet', loss: 0.05, crashed: 0.1 })
    const { rounds, payloads } = summarize(3, run)
    expect(rounds.max).toBeLessThanOrEqual(19)
    expect(payloads).toBeLessThanOrEqual(1.9)
  })

  it.each(['quiet', 'busy'] as const)('leaves no residue among 1,000, with 1.1 payloads a node, %s', (traffic) => {
    const { rounds, payloads, incomplete } = summarize(200, (seed) => spread({ nodes: 1_000, seed, traffic }))
    expect(rounds.mean).toBeLessThanOrEqual(10)
    expect(payloads).toBeLessThanOrEqual(1.1)
    expect(incomplete).toBe(0)
  })
})

describe('plain push', () => {
  it('accounts for every payload too', () => {
    const law = fc.property(anyOptions, (options) => {
      expectConserved(plainPush({ ...options, fanout: 2 }))
    })
    fc.assert(law)
  })

  it('takes 15 rounds and 12 payloads a node at 26,000 nodes', () => {
    const { rounds, payloads } = summarize(10, (seed) => plainPush({ nodes: 26_000, seed, fanout: 2 }))
    expect(rounds.mean).toBeGreaterThan(14.5)
    expect(rounds.mean).toBeLessThan(16.5)
    expect(payloads).toBeGreaterThan(11)
  })
})

describe('a summary', () => {
  it('says how long a node waits on average, and who is left after each round', () => {
    const run = { isComplete: true, live: 4, pushes: 2, pulledPayloads: 1, duplicates: 0, wasted: 0, comparisons: 8 }
    const { averageDelay, unreached, payloads } = summarize(2, (seed) =>
      seed === 1 ? { ...run, rounds: 1, reached: [1, 4] } : { ...run, rounds: 2, reached: [1, 2, 4] },
    )
    // Three nodes wait one round; then one waits one, and two wait two.
    expect(averageDelay).toBeCloseTo((3 + 5) / 8)
    expect(unreached).toEqual([0.75, 0.25, 0])
    expect(payloads).toBeCloseTo(0.75)
  })
})

function expectConserved({ reached, pushes, pulledPayloads, duplicates, wasted }: Spread): void {
  const news = (reached.at(-1) ?? 0) - 1
  expect(news + duplicates + wasted).toBe(pushes + pulledPayloads)
}
