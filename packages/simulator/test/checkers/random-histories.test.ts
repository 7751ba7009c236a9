import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { checkHistory } from '../../src/index.ts'
import { anyCorrectHistory } from './any-history.ts'
import { MUTATIONS } from './mutations.ts'

/** `RUNS=20000` looks longer. */
const RUNS = Number(process.env['RUNS'] ?? 300)

describe('histories of the reference cluster', () => {
  it('give nobody a reason to complain', () => {
    const law = fc.property(anyCorrectHistory, (history) => {
      expect(checkHistory(history)).toEqual([])
    })
    fc.assert(law, { numRuns: RUNS })
  })

  it.each(MUTATIONS)('are not believed when $story: $foundBy', ({ spoil, foundBy }) => {
    const law = fc.property(anyCorrectHistory, fc.nat(), (history, choice) => {
      const ways = spoil(history)
      const way = ways[choice % ways.length]
      // Histories with nothing to spoil do not count as runs, and too many of them fail.
      fc.pre(way !== undefined)
      expect(checkHistory(way()).map(({ checker }) => checker)).toContain(foundBy)
    })
    fc.assert(law, { numRuns: Math.ceil(RUNS / 6) })
  })
})
