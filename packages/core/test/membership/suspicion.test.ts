import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Suspicion, suspicionTimeoutMs } from '../../src/index.ts'

const anyMembers = fc.integer({ min: 2, max: 256 })

describe('the time a suspect has', () => {
  it('never grows with confirmations, and stays between least and longest', () => {
    const law = fc.property(anyMembers, fc.nat(10), (members, confirmations) => {
      const timeoutMs = suspicionTimeoutMs(members, 1_000, confirmations)
      expect(suspicionTimeoutMs(members, 1_000, confirmations + 1)).toBeLessThanOrEqual(timeoutMs)
      expect(timeoutMs).toBeGreaterThanOrEqual(Math.max(5_500, 4_000 * Math.log10(members + 1)))
      expect(timeoutMs).toBeLessThanOrEqual(1.2 * Math.max(5_500, 4_000 * Math.log10(members + 1)))
    })
    fc.assert(law)
  })

  it.each([2, 3, 5, 10])('leaves room on both sides of P10 for %i members', (members) => {
    const longestMs = suspicionTimeoutMs(members, 1_000, 0)
    const leastMs = suspicionTimeoutMs(members, 1_000, 10)
    expect(500 + leastMs).toBeGreaterThanOrEqual(5_000 + 500)
    expect(2_000 + 1_250 + longestMs).toBeLessThanOrEqual(10_000)
  })

  it('waits for nobody where nobody could confirm', () => {
    expect(suspicionTimeoutMs(2, 1_000, 0)).toBe(5_500)
  })
})

describe('a suspicion', () => {
  it('counts each accuser once', () => {
    const suspicion = new Suspicion('a', 0, 10, 1_000)
    const aloneMs = suspicion.deadlineMs
    suspicion.confirm('a')
    expect(suspicion.deadlineMs).toBe(aloneMs)
    suspicion.confirm('b')
    expect(suspicion.deadlineMs).toBeLessThan(aloneMs)
    expect(suspicion.isAccusedBy('b')).toBe(true)
    expect(suspicion.isAccusedBy('c')).toBe(false)
  })

  it('is held by signs of life, and moved by our own sleep', () => {
    const suspicion = new Suspicion('a', 0, 2, 1_000)
    suspicion.shift(2_000)
    expect(suspicion.deadlineMs).toBe(7_500)
    suspicion.holdUntil(3_000)
    expect(suspicion.deadlineMs).toBe(7_500)
    suspicion.holdUntil(9_000)
    expect(suspicion.deadlineMs).toBe(9_000)
  })
})
