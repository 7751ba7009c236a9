import * as fc from 'fast-check'
import { expect, it } from 'vitest'
import { LOCAL_HEALTH_MAX, LocalHealth, type HealthSign } from '../../src/index.ts'

it('stays within its bounds, whatever happens', () => {
  const anySign = fc.constantFrom<HealthSign>('probe-answered', 'probe-missed', 'nack-missed', 'refuted', 'late-tick')
  const law = fc.property(fc.array(anySign), (signs) => {
    const health = new LocalHealth()
    for (const sign of signs) health.note(sign)
    expect(health.score).toBeGreaterThanOrEqual(0)
    expect(health.score).toBeLessThanOrEqual(LOCAL_HEALTH_MAX)
    expect(health.multiplier).toBe(health.score + 1)
  })
  fc.assert(law)
})

it('gets worse with bad signs and better with good ones', () => {
  const health = new LocalHealth()
  health.note('late-tick')
  health.note('refuted')
  expect(health.score).toBe(2)
  health.note('probe-answered')
  health.note('nobody-to-probe')
  expect(health.score).toBe(0)
})
