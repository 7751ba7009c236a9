import * as fc from 'fast-check'
import type { DemersOptions } from '@grapevine/core'
import { describe, expect, it } from 'vitest'
import { DEMERS_TABLES, meanRow, spreadRumor } from '../../src/measures/index.ts'

/** Fewer than the benchmark runs, so that what is rare is not looked at here. */
const RUNS = 100

const ROWS = DEMERS_TABLES.flatMap(({ name, options, paper }) =>
  paper.map((row, index) => ({ name, options: { ...options, k: index + 1 }, ...row })),
)

describe('the tables of Demers et al. 1987', () => {
  it.each(ROWS)('$name, k = $options.k: traffic $traffic', ({ options, residue, traffic, lastDelay }) => {
    const mean = meanRow(options, RUNS)
    expectWithin(mean.traffic, traffic, options.exchange === 'pull' ? 0.03 : 0.1)
    if (residue * RUNS > 0.1) expectWithin(mean.residue, residue, 0.35)
    if (lastDelay !== undefined) expectWithin(mean.lastDelay, lastDelay, 0.05)
  })

  it('hold for any variant what must hold: a seed decides, and nobody hears who was sent nothing', () => {
    const anyVariant: fc.Arbitrary<DemersOptions> = fc.record({
      exchange: fc.constantFrom<DemersOptions['exchange']>('push', 'pull', 'push-pull'),
      loss: fc.constantFrom<DemersOptions['loss']>('feedback', 'blind'),
      counting: fc.constantFrom<DemersOptions['counting']>('counter', 'coin'),
      k: fc.integer({ min: 1, max: 5 }),
    })
    const law = fc.property(anyVariant, fc.integer({ min: 2, max: 200 }), fc.nat(), (options, sites, seed) => {
      const row = spreadRumor(sites, options, seed)
      const heard = Math.round((1 - row.residue) * sites)
      expect(heard).toBeGreaterThanOrEqual(1)
      // Everybody but the first was sent it once at least.
      expect(Math.round(row.traffic * sites)).toBeGreaterThanOrEqual(heard - 1)
      expect(row.averageDelay).toBeLessThanOrEqual(row.lastDelay)
      expect(spreadRumor(sites, options, seed)).toEqual(row)
    })
    fc.assert(law)
  })
})

/** Relative, beside half a unit of the paper's last digit: it prints 0.04 for what is between 0.035 and 0.045. */
function expectWithin(actual: number, printed: number, tolerance: number): void {
  const slack = printed * tolerance + (printed < 0.1 ? 0.005 : 0)
  expect(Math.abs(actual - printed), `${actual} for ${printed}`).toBeLessThanOrEqual(slack)
}
