import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compareHlc, isExpired, isTombstone, isVisible, purgeableAt } from '../../src/index.ts'
import { anyEntry, entryWith } from './any-entry.ts'

const VERSION = { hlc: { wallMs: 1_000, counter: 7 }, replica: 'b'.repeat(16) }

describe('an entry', () => {
  it('is a value when it is empty, and a tombstone only without one', () => {
    expect(isTombstone(entryWith({ value: new Uint8Array(0) }))).toBe(false)
    expect(isTombstone(entryWith({ value: undefined }))).toBe(true)
  })

  it('expires at its time and not before; 0 is never', () => {
    expect(isExpired(entryWith({ expiresAtMs: 5_000 }), 4_999)).toBe(false)
    expect(isExpired(entryWith({ expiresAtMs: 5_000 }), 5_000)).toBe(true)
    expect(isExpired(entryWith({ expiresAtMs: 0 }), Number.MAX_SAFE_INTEGER)).toBe(false)
  })

  it('is visible exactly while it holds a value that has not expired', () => {
    const law = fc.property(anyEntry, fc.nat(), (entry, wallMs) => {
      expect(isVisible(entry, wallMs)).toBe(!isTombstone(entry) && !isExpired(entry, wallMs))
    })
    fc.assert(law)
  })
})

describe('what the frontier has to reach before an entry may go (R10)', () => {
  it('is the version of a tombstone, whatever expiry it bears', () => {
    expect(purgeableAt(entryWith({ version: VERSION, value: undefined }))).toEqual(VERSION.hlc)
    expect(purgeableAt(entryWith({ version: VERSION, value: undefined, expiresAtMs: 9_000 }))).toEqual(VERSION.hlc)
  })

  it('is the later of version and expiry of a value, and nothing for one that stays', () => {
    expect(purgeableAt(entryWith({ version: VERSION, expiresAtMs: 9_000 }))).toEqual({ wallMs: 9_000, counter: 0 })
    expect(purgeableAt(entryWith({ version: VERSION, expiresAtMs: 1_000 }))).toEqual(VERSION.hlc)
    expect(purgeableAt(entryWith({ version: VERSION, expiresAtMs: 1 }))).toEqual(VERSION.hlc)
    expect(purgeableAt(entryWith({ version: VERSION }))).toBeUndefined()
  })

  it('is never before the version', () => {
    const law = fc.property(anyEntry, (entry) => {
      const due = purgeableAt(entry)
      if (due === undefined) return
      expect(compareHlc(due, entry.version.hlc)).toBeGreaterThanOrEqual(0)
      expect(due.wallMs).toBeGreaterThanOrEqual(isTombstone(entry) ? 0 : entry.expiresAtMs)
    })
    fc.assert(law)
  })
})
