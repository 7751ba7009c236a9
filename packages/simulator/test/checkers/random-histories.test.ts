import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { checkHistory } from '../../src/index.ts'
import { anyCorrectHistory } from './any-history.ts'

describe('histories of the reference cluster', () => {
  it('give nobody a reason to complain', () => {
    const law = fc.property(anyCorrectHistory, (history) => {
      expect(checkHistory(history)).toEqual([])
    })
    fc.assert(law, { numRuns: Number(process.env['RUNS'] ?? 300) })
  })
})
